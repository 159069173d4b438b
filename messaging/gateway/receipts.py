"""Receipts wait here a moment and travel to the log together; they never delay a message (design section 1, step 5)."""

import asyncio
from collections.abc import Callable
from typing import Literal

from prometheus_client import Counter

from messaging.domain.authors import Authors
from messaging.domain.connection import SaveReceipt
from messaging.domain.events import Receipt, ReceiptBatch, encode
from messaging.domain.ids import DeviceId, UserId
from messaging.ports import TOPIC_RECEIPTS, LogUnavailable, MessageLog, NewRecord

DROPPED = Counter("chat_receipts_dropped_total", "Receipts dropped because the log did not take them.")
_MAX_WAITING = 20_000
_MAX_BATCH = 1_000


class ReceiptBuffer:
    """Gathers receipts for ``wait_s`` and appends them as one record. Overflow rule: the newest are dropped."""

    def __init__(
        self, log: MessageLog, *, pod: str, now_ms: Callable[[], int], authors: Authors, wait_s: float = 0.03
    ) -> None:
        self._log = log
        self._authors = authors
        self._key = pod.encode()
        self._now_ms = now_ms
        self._wait_s = wait_s
        self._waiting: list[Receipt] = []
        self._arrived = asyncio.Event()

    def add(self, effect: SaveReceipt, *, user: UserId, device: DeviceId) -> None:
        """Take one receipt; never waits."""
        if len(self._waiting) >= _MAX_WAITING:
            DROPPED.inc()
            return
        kind: Literal["delivered", "read"] = "read" if effect.read else "delivered"
        author = self._authors.get(effect.conversation, effect.message)
        self._waiting.append(Receipt(kind, effect.conversation, effect.message, user, device, self._now_ms(), author))
        self._arrived.set()

    async def run(self) -> None:
        """Append batches until cancelled."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(self._wait_s)
            await self.flush()

    async def flush(self) -> None:
        """Append what is waiting now."""
        self._arrived.clear()
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), _MAX_BATCH):
            batch = waiting[start : start + _MAX_BATCH]
            try:
                await self._log.append(NewRecord(TOPIC_RECEIPTS, self._key, encode(ReceiptBatch(batch))))
            except LogUnavailable:
                DROPPED.inc(len(batch))
