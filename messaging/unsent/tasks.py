"""Jobs of what is not sent yet. They may run twice, so each is idempotent."""

from celery import shared_task

from messaging.domain.errors import Unavailable
from messaging.unsent import scheduling


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def send_scheduled() -> int:
    """Send the messages whose time has come; see ``scheduling.send_due``. The clock asks again in a moment."""
    try:
        return scheduling.send_due()
    except Unavailable:
        return 0
