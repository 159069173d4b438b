"""The generator's own WebSocket client, fed by hand."""

import json
from typing import Any, cast

import pytest

from bench.wire import Frame, ProtocolFailed, Wire, client_frame

UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


class Pipe:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.is_aborted = False

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True


class Peer:
    """A wire and what it told its owner."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.ended: list[Exception | None] = []
        self.pipe = Pipe()
        self.wire = Wire(
            host="127.0.0.1:1",
            token="secret",
            on_frame=lambda frame, at: self.frames.append(frame),
            on_close=self.ended.append,
        )
        self.wire.connection_made(cast(Any, self.pipe))

    def lose(self) -> None:
        self.wire.connection_lost(None)


def text(**fields: object) -> bytes:
    """Return what a server writes: an unmasked text frame."""
    payload = json.dumps(fields).encode()
    if len(payload) < 126:
        return bytes((0x81, len(payload))) + payload
    if len(payload) < 65536:
        return bytes((0x81, 126)) + len(payload).to_bytes(2, "big") + payload
    return bytes((0x81, 127)) + len(payload).to_bytes(8, "big") + payload


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000, 10**6])
def test_frames_of_all_sizes_arrive_whole_however_they_are_cut(step: int) -> None:
    peer = Peer()
    bodies = ["short", "m" * 200, "l" * (70_000 if step > 100 else 300), ""]
    stream = UPGRADED + b"".join(text(op="msg", server_id="m_1", body=body, unknown=[1]) for body in bodies)
    for start in range(0, len(stream), step):
        peer.wire.data_received(stream[start : start + step])
    assert [frame.body for frame in peer.frames] == bodies


def test_it_asks_for_the_protocol_with_its_token() -> None:
    request = Peer().pipe.written.decode()
    assert request.startswith("GET /ws HTTP/1.1\r\n")
    assert "Authorization: Bearer secret\r\n" in request
    assert "Sec-WebSocket-Protocol: chat.v1.json\r\n" in request


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 403 Forbidden\r\n\r\n", UPGRADED + b"\x82\x01x", UPGRADED + b"\x81\x01x"]
)
def test_what_no_gateway_sends_ends_the_connection_with_the_reason(answer: bytes) -> None:
    peer = Peer()
    peer.wire.data_received(answer)
    assert peer.pipe.is_aborted
    peer.lose()
    assert peer.ended[0] is not None


def test_a_refused_upgrade_is_named() -> None:
    peer = Peer()
    peer.wire.data_received(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    peer.lose()
    assert isinstance(peer.ended[0], ProtocolFailed)
    assert "403" in str(peer.ended[0])


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_a_clients_frame_is_masked_and_says_its_size(size: int) -> None:
    frame = client_frame(b"x" * size)
    assert frame[0] == 0x81
    assert frame[1] & 0x80
    assert frame.endswith(b"\0\0\0\0" + b"x" * size)
    length = frame[1] & 0x7F
    if length == 126:
        length = int.from_bytes(frame[2:4], "big")
    elif length == 127:
        length = int.from_bytes(frame[2:10], "big")
    assert length == size
