"""The writer of the topic ``search``: which messages the index has to look at again (docs/decisions/0059)."""

from collections.abc import Iterable

from messaging.domain import events
from messaging.domain.ids import ConversationId, MessageId
from messaging.ports import TOPIC_SEARCH, MessageLog, NewRecord
from messaging.services.appending import append_all


async def append_touched(log: MessageLog, refs: Iterable[tuple[ConversationId, MessageId]]) -> None:
    """Append which messages were written or changed, and return once it would survive a crash.

    One record for all of a poll of the router, up to ``MAX_PAGE``. Repeating it is harmless, and so is any order: a
    record says where to look, not what is there.

    Raises:
        LogUnavailable: some may be missing; append all again.
    """
    touched = list(dict.fromkeys(refs))
    pages = [touched[start : start + events.MAX_PAGE] for start in range(0, len(touched), events.MAX_PAGE)]
    await append_all(log, map(_record, pages))


def _record(page: list[tuple[ConversationId, MessageId]]) -> NewRecord:
    # The key only spreads the records over the partitions.
    return NewRecord(TOPIC_SEARCH, page[0][0].to_bytes(8, "big"), events.encode(events.SearchChanged(page)))
