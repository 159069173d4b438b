"""Jobs of media. They may run twice, so each is idempotent."""

from celery import shared_task

from messaging.domain.ids import MediaId
from messaging.media import services
from messaging.ports import MediaUnavailable


@shared_task(  # type: ignore[untyped-decorator]  # Celery has no types
    ignore_result=True, autoretry_for=(MediaUnavailable,), retry_backoff=2, retry_backoff_max=300, max_retries=8
)
def process(media_id: int) -> None:
    """Look at a complete upload; see ``services.process``."""
    services.process(MediaId(media_id))


@shared_task  # type: ignore[untyped-decorator]
def sweep() -> int:
    """Delete what no message came to refer to; return how many files went."""
    return services.sweep()
