"""Jobs of what bots are told. They may run twice, so each is idempotent."""

import logging
import time
from typing import Final

from celery import shared_task
from django.core.cache import cache

from messaging.dispatcher import unpack
from messaging.domain import events
from messaging.hooks import outgoing

logger = logging.getLogger(__name__)

#: How long one job sends; what is left then is another's.
_RUN_S: Final = 20.0
#: What is due within this is waited for by a job of its own; the clock's comes every minute.
_SOON_S: Final = 60.0
_FOLLOW_UP: Final = "hooks-follow-up"


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def tell_bots(batch: object) -> None:
    """Note what these records of the topic ``hooks`` tell, and send what is due."""
    found: list[events.HookEvent] = []
    for record in unpack(batch):
        try:
            found.append(events.decode_hook(record.payload))
        except events.Poison as error:
            place = f"{record.topic}/{record.partition}/{record.offset}"
            logger.error("the record at %s is no event for bots: %s", place, error)
    outgoing.accept(found)
    _send()


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]
def send_due() -> None:
    """Send what is due, and measure what waits."""
    cache.delete(_FOLLOW_UP)
    _send()
    outgoing.measure()


def _send() -> None:
    outgoing.send_due(until=time.monotonic() + _RUN_S)
    due_s = outgoing.next_due_s()
    if due_s is None or due_s > _SOON_S:
        return
    wait_s = max(1, int(due_s) + 1)
    if cache.add(_FOLLOW_UP, 1, timeout=wait_s):
        send_due.apply_async(countdown=wait_s)


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]
def delete_old_deliveries() -> int:
    """Delete what became of events more than a week ago; return how many."""
    return outgoing.delete_old()
