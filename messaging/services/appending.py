"""Records that other parts of the program wait for, written together (design section 1)."""

import asyncio
from collections.abc import Iterable

from messaging.ports import MessageLog, NewRecord, PositionUnknown


async def append_all(log: MessageLog, records: Iterable[NewRecord]) -> None:
    """Append records in their order, and return once all of them would survive a crash; where they are does not matter.

    Raises:
        LogUnavailable: some may be missing; append all again.
    """
    waiting = [log.append(record) for record in records]
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, PositionUnknown):
            raise outcome
