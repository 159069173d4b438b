"""The writer of the topic ``search``: which messages the index has to look at again (docs/decisions/0059)."""

import asyncio
from collections.abc import Iterable

from messaging.domain import events
from messaging.domain.ids import ConversationId, MessageId
from messaging.ports import TOPIC_SEARCH, MessageLog, NewRecord, PositionUnknown


async def append_touched(log: MessageLog, refs: Iterable[tuple[ConversationId, MessageId]]) -> None:
    """Append which messages were written or changed, and return once it would survive a crash.

    One record for all of a poll of the router, up to ``MAX_PAGE``. Repeating it is harmless, and so is any order: a
    record says where to look, not what is there.

    Raises:
        LogUnavailable: some may be missing; append all again.
    """
    touched = list(dict.fromkeys(refs))
    waiting = []
    for start in range(0, len(touched), events.MAX_PAGE):
        page = touched[start : start + events.MAX_PAGE]
        # The key only spreads the records over the partitions.
        key = page[0][0].to_bytes(8, "big")
        waiting.append(log.append(NewRecord(TOPIC_SEARCH, key, events.encode(events.SearchChanged(page)))))
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, PositionUnknown):
            raise outcome
