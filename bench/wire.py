"""The client's side of ``chat.v1.json`` over a bare asyncio transport: nothing of the server's code.

A library's client would cost more per frame than the server under test. This one reads what a gateway sends
(whole, unmasked text frames) and refuses the rest.
"""

import asyncio
import base64
import os
import time
from collections.abc import Callable
from typing import Final, cast

import msgspec

_TEXT: Final = 0x1
_CLOSE: Final = 0x8
_PING: Final = 0x9
_PONG: Final = 0xA
_FIN: Final = 0x80
#: A key of zeros leaves the payload as it is. The server unmasks it like any other.
_MASK: Final = b"\0\0\0\0"


class Frame(msgspec.Struct):
    """Any frame of the server, with the fields of all that a generator looks at."""

    op: str = "msg"
    server_id: str = ""
    conv: str = ""
    body: str = ""
    prev: str | None = None
    ts: int = 0
    kind: str = "text"
    msg_id: str | None = None
    code: str = ""
    heartbeat_s: int = 30
    messages: list["Frame"] = []
    mark: str | None = None
    spread_ms: int = 0


class ProtocolFailed(Exception):
    """The server sent something that a gateway never sends."""


_decoder = msgspec.json.Decoder(Frame)
_encoder = msgspec.json.Encoder()


def client_frame(payload: bytes, *, opcode: int = _TEXT) -> bytes:
    """Return one masked WebSocket frame."""
    size = len(payload)
    if size < 126:
        head = bytes((_FIN | opcode, 0x80 | size))
    elif size < 65536:
        head = bytes((_FIN | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((_FIN | opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + _MASK + payload


def encode(**fields: object) -> bytes:
    """Return a client's frame, ready to write."""
    return client_frame(_encoder.encode(fields))


class Wire(asyncio.Protocol):
    """One socket. ``on_frame`` gets each frame with the time its bytes were read (ns, CLOCK_MONOTONIC)."""

    def __init__(
        self,
        *,
        host: str,
        token: str,
        on_frame: Callable[[Frame, int], None],
        on_close: Callable[[Exception | None], None],
    ) -> None:
        self._host = host
        self._token = token
        self._on_frame = on_frame
        self._on_close = on_close
        self._transport: asyncio.Transport | None = None
        self._upgraded = False
        self._rest = b""
        self._failure: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        # uvloop's is one in all but its base class.
        stream = self._transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        stream.write(
            f"GET /ws HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat.v1.json\r\n"
            f"Authorization: Bearer {self._token}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Hand on every whole frame."""
        at = time.monotonic_ns()
        if self._rest:
            data = self._rest + data
        try:
            self._rest = data[self._consume(data, at) :]
        except (ProtocolFailed, msgspec.DecodeError) as error:
            self._failure = error
            self.abort()

    def _consume(self, data: bytes, at: int) -> int:
        """Return how many bytes were used."""
        position = 0
        if not self._upgraded:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                return 0
            if not data.startswith(b"HTTP/1.1 101 "):
                raise ProtocolFailed(f"no upgrade: {data[:60]!r}")
            self._upgraded = True
            position = end + 4
        while len(data) - position >= 2:
            size, start = data[position + 1], position + 2
            if size == 126:
                size, start = int.from_bytes(data[start : start + 2], "big"), start + 2
            elif size == 127:
                size, start = int.from_bytes(data[start : start + 8], "big"), start + 8
            if len(data) < start + size:
                break
            self._take(data[position], data[start : start + size], at)
            position = start + size
        return position

    def _take(self, first: int, payload: bytes, at: int) -> None:
        if first == _FIN | _TEXT:
            self._on_frame(_decoder.decode(payload), at)
        elif first == _FIN | _PING:
            self.write(client_frame(payload, opcode=_PONG))
        elif first == _FIN | _CLOSE:
            self.write(client_frame(payload, opcode=_CLOSE))
        else:
            raise ProtocolFailed(f"unexpected frame {first:#x}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner."""
        self._transport = None
        self._on_close(exc or self._failure)

    def write(self, frame: bytes) -> bool:
        """Write a frame; return False where the socket is gone."""
        if self._transport is None or self._transport.is_closing():
            return False
        self._transport.write(frame)
        return True

    def abort(self) -> None:
        """Cut the connection as a lost network does: no close frame."""
        if self._transport is not None:
            self._transport.abort()
