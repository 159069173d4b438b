"""The writers of the topic ``push``: who was not reached, what was read, what was changed (design sections 1, 6 and 8).

The router and the pods write through here; what becomes of it is decided in ``push``, when it is sent.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

import msgspec
from prometheus_client import Counter

from messaging.domain import events
from messaging.domain.ids import ConversationId, UserId
from messaging.ports import TOPIC_PUSH, LogUnavailable, MessageLog, NewRecord, PositionUnknown
from messaging.services.appending import append_all

INTENTS = Counter("chat_push_intents_total", "People or devices that were not reached, by who noticed.", ["by"])
READS_DROPPED = Counter(
    "chat_push_reads_dropped_total", "Read marks whose notifications stay: too many at once, or the log was out."
)

_MAX_MARKS: Final = 20_000


def unreached(intents: Iterable[events.PushIntent], connected: Collection[UserId]) -> Iterator[events.PushIntent]:
    """Yield the intents for those who are not connected, in pages of ``MAX_PAGE`` users; none where all are."""
    for intent in intents:
        away = sorted(user for user in intent.users if user not in connected)
        for start in range(0, len(away), events.MAX_PAGE):
            yield msgspec.structs.replace(intent, users=away[start : start + events.MAX_PAGE])


async def append_intents(log: MessageLog, intents: Iterable[events.PushIntent], *, by: str) -> None:
    """Append the intents, and return once they would survive a crash. Repeating it is harmless: see ``push``.

    ``by`` (router or deadline) is for the count.

    Raises:
        LogUnavailable: some may be missing; append all again.
    """
    found = list(intents)
    await append_all(log, map(_record, found))
    INTENTS.labels(by).inc(sum(len(intent.users) + len(intent.devices) for intent in found))


async def append_changed(log: MessageLog, changed: Iterable[events.PushChanged]) -> None:
    """Append what was edited or deleted, and return once it would survive a crash. Repeating it is harmless.

    Raises:
        LogUnavailable: some may be missing; append all again.
    """
    await append_all(log, map(_record, changed))


def _record(event: events.PushIntent | events.PushChanged) -> NewRecord:
    return NewRecord(TOPIC_PUSH, event.conversation.to_bytes(8, "big"), events.encode(event))


class ReadMarks:
    """Gathers how far people have read and appends it every ``every_s``: what was pushed before is taken back.

    Best effort. Overflow rule: past ``_MAX_MARKS`` the oldest are dropped; their notifications stay until they are
    opened.
    """

    def __init__(self, log: MessageLog, *, every_s: float = 1.0) -> None:
        self._log = log
        self._every_s = every_s
        self._marks: OrderedDict[tuple[UserId, ConversationId], events.ReadMark] = OrderedDict()
        self._arrived = asyncio.Event()

    def add(self, marks: Sequence[events.ReadMark]) -> None:
        """Take marks; never waits. The last one of a user in a conversation counts."""
        for mark in marks:
            self._marks[mark.user, mark.conversation] = mark
        while len(self._marks) > _MAX_MARKS:
            self._marks.popitem(last=False)
            READS_DROPPED.inc()
        if marks:
            self._arrived.set()

    async def run(self) -> None:
        """Append what was gathered, until cancelled."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(self._every_s)
            self._arrived.clear()
            marks = list(self._marks.values())
            self._marks.clear()
            for start in range(0, len(marks), events.MAX_PAGE):
                page = marks[start : start + events.MAX_PAGE]
                try:
                    await self._log.append(NewRecord(TOPIC_PUSH, b"read", events.encode(events.PushRead(page))))
                except PositionUnknown:
                    continue
                except LogUnavailable:
                    READS_DROPPED.inc(len(page))
