"""Jobs of the accounts."""

from celery import shared_task
from django.core.mail import send_mail

from accounts.services.devices import delete_expired


@shared_task(autoretry_for=(OSError,), retry_backoff=5, retry_backoff_max=600, max_retries=8)  # type: ignore[untyped-decorator]
def send_mail_task(subject: str, body: str, sender: str, recipients: list[str]) -> None:
    """Send one mail; tried again with back-off while the mail server is away."""
    send_mail(subject, body, sender, recipients)


@shared_task  # type: ignore[untyped-decorator]
def delete_expired_devices() -> int:
    """Delete devices that ended long ago; return how many."""
    return delete_expired()
