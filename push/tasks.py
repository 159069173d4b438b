"""Jobs of push. They may run twice, so each is idempotent."""

import logging
from typing import Final

from celery import shared_task
from django.core.cache import cache
from django.utils import timezone

from messaging.dispatcher import unpack
from messaging.domain import events
from messaging.domain.ids import DeviceId
from push import following, outbox, summary

logger = logging.getLogger(__name__)

#: Pushes that are due within this are waited for by a job of their own; the clock's comes every minute.
_SOON_S: Final = 60.0
_FOLLOW_UP: Final = "push-follow-up"


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def push_messages(batch: object) -> None:
    """Send what these records of the topic ``push`` ask for; what fails waits for ``send_due_pushes``."""
    intents: list[events.PushIntent] = []
    marks: list[events.ReadMark] = []
    changed: list[events.PushChanged] = []
    for record in unpack(batch):
        try:
            event = events.decode_push(record.payload)
        except events.Poison as error:
            logger.error(
                "the record at %s/%s/%s is no intent: %s", record.topic, record.partition, record.offset, error
            )
            continue
        match event:
            case events.PushIntent():
                intents.append(event)
            case events.PushRead():
                marks += event.marks
            case events.PushChanged():
                changed.append(event)
    outbox.accept(intents)
    outbox.take_back(marks)
    following.follow(changed)
    _follow_up()


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]
def send_due_pushes() -> None:
    """Try again what is due, give up what is too late, and measure what waits."""
    cache.delete(_FOLLOW_UP)
    outbox.send_due()
    now = timezone.now()
    summary.spill(now)
    outbox.measure(now)
    _follow_up()


def _follow_up() -> None:
    """Have the next push that waits tried when it is due, by one job for all."""
    due_s = outbox.next_due_s(timezone.now())
    if due_s is None or due_s > _SOON_S:
        return
    wait_s = max(1, int(due_s) + 1)
    if cache.add(_FOLLOW_UP, 1, timeout=wait_s):
        send_due_pushes.apply_async(countdown=wait_s)


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]
def send_test(device_id: int) -> None:
    """Send a test push to a device."""
    outbox.send_test(DeviceId(device_id))


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]
def delete_old_pushes() -> int:
    """Delete what became of pushes more than a week ago; return how many rows."""
    return outbox.delete_old()
