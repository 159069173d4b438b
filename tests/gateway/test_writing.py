"""The way of a frame to one socket: what is written, in which order, and what is dropped when a peer does not read."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from messaging.domain.frames import Msg, TypingEvent
from messaging.domain.limits import Limits
from messaging.gateway.outbox import Encoded, Form, Outbox
from messaging.protocol.codec import JSON


class Peer:
    """A socket whose peer reads when it is told to. ``at_once``: whether the server can write without waiting."""

    def __init__(self, *, at_once: bool | None = None, **limits: int) -> None:
        self.written: list[bytes] = []
        self.reads = asyncio.Event()
        self.too_slow = 0
        self.at_once = at_once
        self.outbox = Outbox(
            self._send,
            codec=JSON,
            limits=replace(Limits(), **limits),
            on_too_slow=self._count_too_slow,
            write_now=None if at_once is None else self._write_now,
        )

    async def _send(self, event: dict[str, Any]) -> None:
        await self.reads.wait()
        self.written.append(event["text"].encode())

    def _write_now(self, frame: bytes) -> bool:
        if self.at_once:
            self.written.append(unframed(frame).data)
        return bool(self.at_once)

    def _count_too_slow(self) -> None:
        self.too_slow += 1

    @property
    def got(self) -> list[str]:
        """The ``server_id`` or the conversation of each frame that was written."""
        frames = [json.loads(data) for data in self.written]
        return [frame.get("server_id") or frame["conv"] for frame in frames]

    async def read(self) -> list[str]:
        """Let the peer read all that was written, and return ``got``."""
        self.reads.set()
        await self.outbox.flush(timeout_s=5)
        return self.got


def unframed(wire: bytes) -> Frame:
    """Return the one WebSocket frame in ``wire``, as the library reads it on a client's side."""
    reader = StreamReader()
    reader.feed_data(wire)
    parsing = Frame.parse(reader.read_exact, mask=False)
    with pytest.raises(StopIteration) as done:
        next(parsing)
    assert reader.buffer == b""
    frame: Frame = done.value.value
    return frame


def message(name: str) -> Encoded:
    return Encoded(Msg(server_id=name, conv="c", sender="u", ts=1))


def hint(name: str) -> Encoded:
    return Encoded(TypingEvent(conv=name, user="u"), ephemeral=True)


async def test_a_message_takes_the_room_of_hints() -> None:
    peer = Peer(max_outbox_frames=3)
    for frame in (message("m1"), hint("h1"), hint("h2"), message("m2"), message("m3"), hint("h3")):
        peer.outbox.put(frame)
    assert await peer.read() == ["m1", "m2", "m3"]
    assert peer.too_slow == 0


async def test_a_frame_is_written_on_the_spot_where_the_server_can() -> None:
    peer = Peer(at_once=True)
    peer.outbox.put(message("m1"))
    peer.outbox.put(hint("h1"))
    assert peer.got == ["m1", "h1"]


async def test_what_had_to_wait_is_not_overtaken() -> None:
    peer = Peer(at_once=False)
    peer.outbox.put(message("m1"))
    peer.at_once = True
    peer.outbox.put(message("m2"))
    assert peer.got == []
    assert await peer.read() == ["m1", "m2"]
    peer.outbox.put(message("m3"))
    assert peer.got == ["m1", "m2", "m3"]


async def test_a_closed_outbox_writes_nothing() -> None:
    peer = Peer(at_once=True)
    peer.outbox.close()
    peer.outbox.put(message("m1"))
    assert peer.got == []


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 0xFFFF, 0x10000])
@pytest.mark.parametrize("is_text", [True, False])
def test_the_wire_form_is_a_whole_frame_of_the_right_kind(size: int, is_text: bool) -> None:
    frame = unframed(Form(b"x" * size, is_text=is_text).wire)
    assert (frame.data, frame.fin) == (b"x" * size, True)
    assert frame.opcode is (Opcode.TEXT if is_text else Opcode.BINARY)
