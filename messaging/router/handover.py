"""What a poll leaves for other topics: appended while the next poll is read, and before its place is committed."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import Counter

from messaging.domain import events
from messaging.domain.ids import ConversationId, MessageId
from messaging.ports import MessageLog
from messaging.services.hook_events import append_noticed
from messaging.services.indexing import append_linked, append_touched
from messaging.services.push_intents import append_changed, append_intents

logger = logging.getLogger(__name__)

FAILED = Counter("chat_router_handovers_failed_total", "Appends to other topics that failed and were tried again.")

#: Polls whose records wait; then the next one waits for them.
_MOST: Final = 16
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0


@dataclass(frozen=True, slots=True)
class Left:
    """What one poll leaves: for those who are away, what was pushed to them before, the index, previews, and bots."""

    intents: Sequence[events.PushIntent]
    changed: Sequence[events.PushChanged]
    touched: Sequence[tuple[ConversationId, MessageId]]
    linked: Sequence[tuple[ConversationId, MessageId]] = ()
    noticed: Sequence[events.HookEvent] = ()


class Handover:
    """Appends in the order of ``give``, what waits together, until it is in the log. One a loop of the router."""

    def __init__(self, log: MessageLog) -> None:
        self._log = log
        self._waiting: list[Left] = []
        self._arrived = asyncio.Event()
        #: Set while nothing waits and nothing is being appended.
        self._settled = asyncio.Event()
        self._settled.set()
        self._room = asyncio.Event()
        self._room.set()

    async def give(self, left: Left) -> None:
        """Take what a poll leaves; waits while too much is waiting, because the log is away."""
        if not (left.intents or left.changed or left.touched or left.linked or left.noticed):
            return
        await self._room.wait()
        self._waiting.append(left)
        self._settled.clear()
        self._arrived.set()
        if len(self._waiting) >= _MOST:
            self._room.clear()

    async def settled(self) -> None:
        """Return once all that was given would survive a crash."""
        await self._settled.wait()

    async def run(self) -> None:
        """Append until cancelled; what is not appended then is given again, by whoever reads the polls again."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            taken, self._waiting = self._waiting, []
            self._room.set()
            await self._append(taken)
            if not self._waiting:
                self._settled.set()

    async def _append(self, taken: Sequence[Left]) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                await append_intents(self._log, [it for left in taken for it in left.intents], by="router")
                await append_changed(self._log, [it for left in taken for it in left.changed])
                await append_touched(self._log, [it for left in taken for it in left.touched])
                await append_linked(self._log, [it for left in taken for it in left.linked])
                await append_noticed(self._log, [it for left in taken for it in left.noticed])
            except Exception:
                FAILED.inc()
                logger.exception("what %d polls leave could not be appended; again in %.1f s", len(taken), wait_s)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            else:
                return
