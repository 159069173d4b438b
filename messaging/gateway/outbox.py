"""The bounded queue of one connection, and the encoding shared by a fan-out (design section 6).

Where the server lets it, a frame is written on the spot, and the queue holds only what waits for a slow peer: a
task for each write was a third of a pod's work (docs/performance.md).

Overflow rule: ephemeral frames (typing, presence, receipts) are dropped first; if messages alone
pass the limit, the connection is closed with 1013 and comes back with a ``sync``.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

from prometheus_client import Counter, Gauge

from messaging.domain.frames import ServerFrame
from messaging.domain.limits import Limits
from messaging.protocol.codec import JSON, Codec

DROPPED = Counter("chat_outbox_dropped_total", "Ephemeral frames dropped because a connection was behind.")
QUEUED_FRAMES = Gauge("chat_outbox_frames", "Frames that wait for sockets that are behind.")
QUEUED_BYTES = Gauge("chat_outbox_bytes", "Bytes that wait for sockets that are behind.")
TOO_SLOW = Counter("chat_connections_too_slow_total", "Connections closed with 1013 because they did not read.")


class _Waiting:
    """What waits in all outboxes of the process: plain numbers, since every frame of a slow socket changes them."""

    __slots__ = ("bytes", "frames")

    def __init__(self) -> None:
        self.frames = 0
        self.bytes = 0


_waiting = _Waiting()
QUEUED_FRAMES.set_function(lambda: _waiting.frames)
QUEUED_BYTES.set_function(lambda: _waiting.bytes)

_MAX_SHORT: Final = 125
_MAX_MEDIUM: Final = 0xFFFF


class Form:
    """A frame in one subprotocol. Shared by all connections it goes to: nobody may change it."""

    __slots__ = ("_event", "_wire", "data", "is_text")

    def __init__(self, data: bytes, *, is_text: bool) -> None:
        self.data = data
        self.is_text = is_text
        self._event: dict[str, Any] | None = None
        self._wire: bytes | None = None

    @property
    def event(self) -> dict[str, Any]:
        """The ASGI event that sends it."""
        if self._event is None:
            content = {"text": self.data.decode()} if self.is_text else {"bytes": self.data}
            self._event = {"type": "websocket.send", **content}
        return self._event

    @property
    def wire(self) -> bytes:
        """The WebSocket frame (RFC 6455): whole, and unmasked, as a server's are."""
        if self._wire is None:
            size = len(self.data)
            first = 0x81 if self.is_text else 0x82
            if size <= _MAX_SHORT:
                head = bytes((first, size))
            elif size <= _MAX_MEDIUM:
                head = bytes((first, 126)) + size.to_bytes(2, "big")
            else:
                head = bytes((first, 127)) + size.to_bytes(8, "big")
            self._wire = head + self.data
        return self._wire


class Encoded:
    """A frame that is encoded at most once per subprotocol, however many connections it goes to."""

    __slots__ = ("_binary", "_text", "ephemeral", "frame")

    def __init__(self, frame: ServerFrame, *, ephemeral: bool = False) -> None:
        self.frame = frame
        self.ephemeral = ephemeral
        self._text: Form | None = None
        self._binary: Form | None = None

    def form(self, codec: Codec) -> Form:
        """Return the frame as ``codec`` writes it."""
        if codec is JSON:
            if self._text is None:
                self._text = Form(codec.encode(self.frame), is_text=True)
            return self._text
        if self._binary is None:
            self._binary = Form(codec.encode(self.frame), is_text=codec.is_text)
        return self._binary


class Outbox:
    """Frames on their way to one socket, in order. A writer task exists only while there is something to write."""

    __slots__ = (
        "_closed", "_limits", "_on_too_slow", "_queue", "_queued_bytes", "_send", "_write_now", "_writer", "codec",
    )  # fmt: skip

    def __init__(
        self,
        send: Callable[[Any], Awaitable[None]],
        *,
        codec: Codec,
        limits: Limits,
        on_too_slow: Callable[[], None],
        write_now: Callable[[bytes], bool] | None = None,
    ) -> None:
        """``write_now``: writes a WebSocket frame at once, or returns False where the frame has to wait."""
        self._send = send
        self._write_now = write_now
        self._limits = limits
        self._on_too_slow = on_too_slow
        self._queue: deque[tuple[Form, bool]] | None = None
        self._queued_bytes = 0
        self._writer: asyncio.Task[None] | None = None
        self._closed = False
        self.codec = codec

    def put(self, frame: Encoded) -> None:
        """Queue one frame; never waits. See the module's overflow rule."""
        if self._closed:
            return
        form = frame.form(self.codec)
        if self._writer is None and self._write_now is not None and self._write_now(form.wire):
            return
        size = len(form.data)
        if self._queue is None:
            self._queue = deque()
        if self._full(size):
            if frame.ephemeral:
                DROPPED.inc()
                return
            self._drop_ephemeral()
            if self._full(size):
                TOO_SLOW.inc()
                self.close()
                self._on_too_slow()
                return
        self._queue.append((form, frame.ephemeral))
        self._count(1, size)
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())

    def _count(self, frames: int, size: int) -> None:
        self._queued_bytes += size
        _waiting.frames += frames
        _waiting.bytes += size

    def _full(self, size: int) -> bool:
        return self._queued_bytes + size > self._limits.max_outbox_bytes or (
            self._queue is not None and len(self._queue) >= self._limits.max_outbox_frames
        )

    def _drop_ephemeral(self) -> None:
        assert self._queue is not None
        kept = [item for item in self._queue if not item[1]]
        dropped = len(self._queue) - len(kept)
        DROPPED.inc(dropped)
        self._queue = deque(kept)
        self._count(-dropped, sum(len(form.data) for form, _ in kept) - self._queued_bytes)

    def _discard(self) -> None:
        self._count(-len(self._queue or ()), -self._queued_bytes)
        self._queue = None

    async def _write(self) -> None:
        try:
            while self._queue:
                form, _ = self._queue.popleft()
                self._count(-1, -len(form.data))
                await self._send(form.event)
        except (OSError, RuntimeError):
            # The socket closed under us: the reader learns it from its own disconnect event.
            self._closed = True
            self._discard()
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
        self._discard()
        if self._writer is not None:
            self._writer.cancel()
