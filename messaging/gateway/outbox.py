"""The bounded queue of one connection, and the encoding shared by a fan-out (design section 6).

Overflow rule: ephemeral frames (typing, presence, receipts) are dropped first; if messages alone
pass the limit, the connection is closed with 1013 and comes back with a ``sync``.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import Counter

from messaging.domain.frames import ServerFrame
from messaging.domain.limits import Limits
from messaging.protocol.codec import JSON, Codec

DROPPED = Counter("chat_outbox_dropped_total", "Ephemeral frames dropped because a connection was behind.")
TOO_SLOW = Counter("chat_connections_too_slow_total", "Connections closed with 1013 because they did not read.")

#: ``{"type": "websocket.send", …}``, its size in bytes, and whether it may be dropped.
Item = tuple[dict[str, Any], int, bool]


class Encoded:
    """A frame that is encoded at most once per subprotocol, however many connections it goes to."""

    __slots__ = ("_binary", "_text", "ephemeral", "frame")

    def __init__(self, frame: ServerFrame, *, ephemeral: bool = False) -> None:
        self.frame = frame
        self.ephemeral = ephemeral
        self._text: Item | None = None
        self._binary: Item | None = None

    def item(self, codec: Codec) -> Item:
        """Return the ASGI event to send. Shared: nobody may change it."""
        if codec is JSON:
            if self._text is None:
                data = codec.encode(self.frame)
                self._text = ({"type": "websocket.send", "text": data.decode()}, len(data), self.ephemeral)
            return self._text
        if self._binary is None:
            data = codec.encode(self.frame)
            self._binary = ({"type": "websocket.send", "bytes": data}, len(data), self.ephemeral)
        return self._binary


class Outbox:
    """Frames on their way to one socket, in order. A writer task exists only while there is something to write."""

    __slots__ = ("_closed", "_limits", "_on_too_slow", "_queue", "_queued_bytes", "_send", "_writer", "codec")

    def __init__(
        self,
        send: Callable[[Any], Awaitable[None]],
        *,
        codec: Codec,
        limits: Limits,
        on_too_slow: Callable[[], None],
    ) -> None:
        self._send = send
        self._limits = limits
        self._on_too_slow = on_too_slow
        self._queue: deque[Item] | None = None
        self._queued_bytes = 0
        self._writer: asyncio.Task[None] | None = None
        self._closed = False
        self.codec = codec

    def put(self, frame: Encoded) -> None:
        """Queue one frame; never waits. See the module's overflow rule."""
        if self._closed:
            return
        item = frame.item(self.codec)
        if self._queue is None:
            self._queue = deque()
        if self._full(item[1]):
            if item[2]:
                DROPPED.inc()
                return
            self._drop_ephemeral()
            if self._full(item[1]):
                TOO_SLOW.inc()
                self.close()
                self._on_too_slow()
                return
        self._queue.append(item)
        self._queued_bytes += item[1]
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())

    def _full(self, size: int) -> bool:
        return self._queued_bytes + size > self._limits.max_outbox_bytes or (
            self._queue is not None and len(self._queue) >= self._limits.max_outbox_frames
        )

    def _drop_ephemeral(self) -> None:
        assert self._queue is not None
        kept = [item for item in self._queue if not item[2]]
        DROPPED.inc(len(self._queue) - len(kept))
        self._queue = deque(kept)
        self._queued_bytes = sum(item[1] for item in kept)

    async def _write(self) -> None:
        try:
            while self._queue:
                event, size, _ = self._queue.popleft()
                self._queued_bytes -= size
                await self._send(event)
        except (OSError, RuntimeError):
            # The socket closed under us: the reader learns it from its own disconnect event.
            self._closed = True
        finally:
            self._writer = None
            if not self._queue:
                self._queue = None

    async def flush(self, *, timeout_s: float) -> None:
        """Wait until everything queued was handed to the socket, or the time is over."""
        if self._writer is not None:
            await asyncio.wait([self._writer], timeout=timeout_s)

    def close(self) -> None:
        """Drop what is queued and stop writing; idempotent."""
        self._closed = True
        self._queue = None
        self._queued_bytes = 0
        if self._writer is not None:
            self._writer.cancel()
