"""Jobs of moderation. They may run twice, so each is idempotent."""

from celery import shared_task

from messaging.domain.errors import Unavailable
from messaging.moderation.services import decisions


@shared_task(autoretry_for=(Unavailable,), retry_backoff=5, max_retries=3, ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def place_takedowns() -> None:
    """Bring into the log what it does not have yet of takedowns: it was away, or a process died in between."""
    decisions.place_all()
