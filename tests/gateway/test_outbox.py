"""The bounded queue of one connection: order, what is dropped first, and who is too slow."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from messaging.domain.frames import Pong, TypingEvent
from messaging.domain.limits import Limits
from messaging.gateway.outbox import Encoded, Outbox
from messaging.protocol import chat_pb2
from messaging.protocol.codec import JSON, PROTOBUF, Codec


class Peer:
    """The other end. While ``reading`` is unset it takes nothing, as a peer whose window is full."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self.too_slow = 0
        self.error: Exception | None = None

    async def send(self, event: dict[str, Any]) -> None:
        await self.reading.wait()
        if self.error is not None:
            raise self.error
        self.got.append(event)

    @property
    def numbers(self) -> list[int]:
        return [json.loads(event["text"])["ts"] for event in self.got]

    def let_go(self) -> None:
        self.too_slow += 1


Make = Callable[..., Outbox]


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.fixture
def make(peer: Peer) -> Make:
    """Return ``make(codec=JSON, **limits) -> Outbox`` that writes to the peer."""

    def make(codec: Codec = JSON, **limits: int) -> Outbox:
        return Outbox(peer.send, codec=codec, limits=replace(Limits(), **limits), on_too_slow=peer.let_go)

    return make


def message(number: int) -> Encoded:
    return Encoded(Pong(ts=number))


def hint(number: int) -> Encoded:
    return Encoded(Pong(ts=number), ephemeral=True)


SIZE = len(JSON.encode(Pong(ts=1)))


async def settled(outbox: Outbox) -> None:
    """Let the writer take what it can."""
    await outbox.flush(timeout_s=0.01)


async def test_frames_are_written_in_their_order(make: Make, peer: Peer) -> None:
    outbox = make()
    for number in range(100):
        outbox.put(message(number))
    await outbox.flush(timeout_s=5)
    assert peer.numbers == list(range(100))
    outbox.put(message(100))
    await outbox.flush(timeout_s=5)
    assert peer.numbers[-1] == 100


async def test_putting_never_waits(make: Make, peer: Peer) -> None:
    peer.reading.clear()
    outbox = make()
    for number in range(100):
        outbox.put(message(number))
    assert peer.got == []
    peer.reading.set()
    await outbox.flush(timeout_s=5)
    assert peer.numbers == list(range(100))


async def test_flushing_gives_up_in_time(make: Make, peer: Peer) -> None:
    peer.reading.clear()
    outbox = make()
    outbox.put(message(1))
    async with asyncio.timeout(5):
        await outbox.flush(timeout_s=0.01)
    assert peer.got == []
    outbox.close()


async def test_flushing_nothing_returns_at_once(make: Make) -> None:
    await make().flush(timeout_s=60)


@pytest.mark.parametrize("limit", [{"max_outbox_frames": 3}, {"max_outbox_bytes": 3 * SIZE}])
async def test_when_it_is_full_a_hint_is_dropped_and_nobody_let_go(
    make: Make, peer: Peer, limit: dict[str, int]
) -> None:
    peer.reading.clear()
    outbox = make(**limit)
    outbox.put(message(0))
    await settled(outbox)
    # The writer holds the first; these are what waits.
    for number in (1, 2, 3):
        outbox.put(message(number))
    outbox.put(hint(4))
    assert peer.too_slow == 0
    peer.reading.set()
    await outbox.flush(timeout_s=5)
    assert peer.numbers == [0, 1, 2, 3]


@pytest.mark.parametrize("limit", [{"max_outbox_frames": 3}, {"max_outbox_bytes": 3 * SIZE}])
async def test_when_it_is_full_hints_make_room_for_a_message(make: Make, peer: Peer, limit: dict[str, int]) -> None:
    peer.reading.clear()
    outbox = make(**limit)
    outbox.put(message(0))
    await settled(outbox)
    for frame in (hint(1), message(2), hint(3), message(4), message(5)):
        outbox.put(frame)
    assert peer.too_slow == 0
    peer.reading.set()
    await outbox.flush(timeout_s=5)
    assert peer.numbers == [0, 2, 4, 5]


@pytest.mark.parametrize("limit", [{"max_outbox_frames": 3}, {"max_outbox_bytes": 3 * SIZE}])
async def test_when_messages_alone_pass_the_limit_the_connection_is_let_go_once(
    make: Make, peer: Peer, limit: dict[str, int]
) -> None:
    peer.reading.clear()
    outbox = make(**limit)
    outbox.put(message(0))
    await settled(outbox)
    for number in (1, 2, 3):
        outbox.put(message(number))
    assert peer.too_slow == 0
    for number in (4, 5, 6):
        outbox.put(message(number))
    assert peer.too_slow == 1
    peer.reading.set()
    await settled(outbox)
    assert peer.got == [], "what it could not hold is not written any more: the peer comes back and syncs"


async def test_what_was_written_makes_room(make: Make, peer: Peer) -> None:
    outbox = make(max_outbox_frames=3, max_outbox_bytes=3 * SIZE)
    for _ in range(50):
        for frame in (hint(1), message(2), message(3)):
            outbox.put(frame)
        await outbox.flush(timeout_s=5)
    assert peer.too_slow == 0
    assert peer.numbers == [1, 2, 3] * 50


async def test_after_dropping_hints_the_bytes_are_counted_anew(make: Make, peer: Peer) -> None:
    peer.reading.clear()
    outbox = make(max_outbox_bytes=4 * SIZE)
    outbox.put(message(0))
    await settled(outbox)
    for _ in range(5):
        for frame in (hint(1), hint(2), hint(3), hint(4)):
            outbox.put(frame)
    for number in (5, 6, 7, 8):
        outbox.put(message(number))
    assert peer.too_slow == 0
    peer.reading.set()
    await outbox.flush(timeout_s=5)
    assert peer.numbers == [0, 5, 6, 7, 8]


async def test_after_its_end_nothing_is_written(make: Make, peer: Peer) -> None:
    peer.reading.clear()
    outbox = make()
    outbox.put(message(1))
    outbox.close()
    outbox.close()
    outbox.put(message(2))
    peer.reading.set()
    await outbox.flush(timeout_s=5)
    assert peer.got == []


@pytest.mark.parametrize("error", [ConnectionResetError(), RuntimeError("closed")])
async def test_a_socket_that_closed_under_it_ends_it_quietly(make: Make, peer: Peer, error: Exception) -> None:
    peer.error = error
    outbox = make()
    outbox.put(message(1))
    outbox.put(message(2))
    await outbox.flush(timeout_s=5)
    outbox.put(message(3))
    peer.error = None
    await outbox.flush(timeout_s=5)
    assert (peer.got, peer.too_slow) == ([], 0)


async def test_text_or_bytes_as_the_subprotocol_says(make: Make, peer: Peer) -> None:
    frame = Encoded(TypingEvent("c_é", "u_x"))
    for codec in (JSON, PROTOBUF):
        outbox = make(codec)
        outbox.put(frame)
        await outbox.flush(timeout_s=5)
    text, binary = peer.got
    assert text == {"type": "websocket.send", "text": '{"op":"typing","conv":"c_é","user":"u_x"}'}
    assert chat_pb2.ServerFrame.FromString(binary["bytes"]).typing.conv == "c_é"


async def test_the_size_is_counted_in_bytes(make: Make, peer: Peer) -> None:
    frame = TypingEvent("c_" + "é" * 100, "u_x")
    peer.reading.clear()
    outbox = make(max_outbox_bytes=len(JSON.encode(frame)) * 2 - 1)
    outbox.put(message(0))
    await settled(outbox)
    outbox.put(Encoded(frame))
    assert peer.too_slow == 0
    outbox.put(Encoded(frame))
    assert peer.too_slow == 1


async def test_what_waits_is_counted_until_it_is_written_dropped_or_given_up(make: Make, peer: Peer) -> None:
    def total() -> tuple[float, float]:
        frames, size = map(REGISTRY.get_sample_value, ("chat_outbox_frames", "chat_outbox_bytes"))
        assert frames is not None
        assert size is not None
        return frames, size

    before = total()

    def waiting() -> tuple[float, float]:
        return total()[0] - before[0], total()[1] - before[1]

    outbox, other = make(max_outbox_frames=3), make()
    peer.reading.clear()
    for each in (outbox, other):
        each.put(message(1))
        # With its writer, and no longer in the queue.
        await settled(each)
        assert waiting() == (0, 0) if each is outbox else (3, 3 * SIZE)
        each.put(hint(2))
        each.put(message(3))
        each.put(message(4))
    assert waiting() == (6, 6 * SIZE)
    # The hint makes room.
    outbox.put(message(5))
    assert waiting() == (6, 6 * SIZE)
    outbox.close()
    assert waiting() == (3, 3 * SIZE)
    peer.reading.set()
    await other.flush(timeout_s=5)
    assert waiting() == (0, 0)
