"""The writers of the topics ``search`` and ``links``: which messages the index and the previews have to look at again.

See docs/decisions/0059 and 0075.
"""

from collections.abc import Callable, Iterable, Sequence

from messaging.domain import events
from messaging.domain.ids import ConversationId, MessageId
from messaging.ports import TOPIC_LINKS, TOPIC_SEARCH, MessageLog, NewRecord
from messaging.services.appending import append_all

_Refs = Sequence[tuple[ConversationId, MessageId]]


async def append_touched(log: MessageLog, refs: Iterable[tuple[ConversationId, MessageId]]) -> None:
    """Append which messages were written or changed, and return once it would survive a crash.

    One record for all of a poll of the router, up to ``MAX_PAGE``. Repeating it is harmless, and so is any order: a
    record says where to look, not what is there.

    Raises:
        LogUnavailable: some may be missing; append all again.
    """
    await _append(log, refs, _touched)


async def append_linked(log: MessageLog, refs: Iterable[tuple[ConversationId, MessageId]]) -> None:
    """Append which messages have a link, or may have had one; as ``append_touched``."""
    await _append(log, refs, _linked)


async def _append(
    log: MessageLog, refs: Iterable[tuple[ConversationId, MessageId]], record: Callable[[_Refs], NewRecord]
) -> None:
    distinct = list(dict.fromkeys(refs))
    pages = [distinct[start : start + events.MAX_PAGE] for start in range(0, len(distinct), events.MAX_PAGE)]
    await append_all(log, map(record, pages))


# The keys only spread the records over the partitions.


def _touched(page: _Refs) -> NewRecord:
    return NewRecord(TOPIC_SEARCH, page[0][0].to_bytes(8, "big"), events.encode(events.SearchChanged(list(page))))


def _linked(page: _Refs) -> NewRecord:
    return NewRecord(TOPIC_LINKS, page[0][0].to_bytes(8, "big"), events.encode(events.LinksWritten(list(page))))
