"""Jobs of what is not sent yet. They may run twice, so each is idempotent."""

from celery import shared_task

from messaging.domain.errors import Unavailable
from messaging.domain.ids import ConversationId, DeviceId, ScheduledId, UserId
from messaging.unsent import scheduling
from messaging.unsent.models import ScheduledMessage
from push import sending, unsent

#: Attempts to tell of one that failed, over some minutes; then it is seen in the page.
_TRIES = 8


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def send_scheduled() -> int:
    """Send the messages whose time has come; see ``scheduling.send_due``. The clock asks again in a moment."""
    try:
        return scheduling.send_due()
    except Unavailable:
        return 0


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]
def tell_failed(scheduled: int, devices: list[int] | None = None, tries: int = 0) -> None:
    """Tell the author of a message that could not be sent, on all devices or these, unless it is dealt with by now."""
    row = ScheduledMessage.objects.filter(pk=scheduled, state=ScheduledMessage.State.FAILED).first()
    if row is None:
        return
    these = None if devices is None else [DeviceId(one) for one in devices]
    left = unsent.tell(UserId(row.user_id), ConversationId(row.conversation_id), ScheduledId(row.pk), devices=these)
    if left and tries + 1 < _TRIES:
        tell_failed.apply_async((scheduled, left, tries + 1), countdown=sending.backoff_s(tries))
