"""A generator's client does what docs/protocol.md asks of one; its socket is a real ``Wire`` whose bytes stay here."""

import json
from typing import Any, cast

import pytest

from bench.generator import Client, Generator, Send, Setup
from bench.stack import Address
from bench.wire import Frame, Wire
from messaging.domain.ids import OFFSET_BITS, TIME_SHIFT, server_id

CONV = "c_1"


def sid(number: int, chain: int = 0) -> str:
    return server_id(1, (number + 1) << TIME_SHIFT | chain << OFFSET_BITS)


class Pipe:
    """A transport that keeps the frames that are written."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []

    def write(self, data: bytes) -> None:
        start = data.find(b"{")
        if start >= 0:
            self.written.append(json.loads(data[start:]))

    def is_closing(self) -> bool:
        return False

    def take(self) -> list[dict[str, Any]]:
        taken, self.written = self.written, []
        return taken


class Scene:
    """One client, number 0, and what it writes."""

    def __init__(self, *, receipts: bool = True) -> None:
        setup = Setup(
            generator=0,
            generators=1,
            tokens=["t"],
            addresses=[Address("127.0.0.1", 1)],
            writers=[(0, CONV)],
            body_bytes=8,
            receipts=receipts,
        )
        self.generator = Generator(setup)
        self.client: Client = self.generator._clients[0]
        self.pipe = Pipe()
        self.client.wire = Wire(
            host="h",
            token="t",
            on_frame=lambda frame, at: self.generator._on_frame(self.client, frame, at),
            on_close=lambda error: None,
        )
        self.client.wire.connection_made(cast(Any, self.pipe))

    def hear(self, **fields: Any) -> list[dict[str, Any]]:
        """Let the client hear a frame; return what it writes."""
        self.generator._on_frame(self.client, Frame(**fields), at=7)
        return self.pipe.take()


def msg(number: int, **fields: Any) -> dict[str, Any]:
    prev = sid(number - 1) if number else None
    return {"op": "msg", "server_id": sid(number), "conv": CONV, "body": f"{number} xx", "prev": prev, **fields}


def test_a_message_from_another_is_answered_and_becomes_the_mark() -> None:
    scene = Scene()
    assert scene.hear(**msg(0)) == [{"op": "delivered", "server_id": sid(0)}]
    assert scene.hear(**msg(1, msg_id="own")) == [], "nobody answers what they wrote"
    assert scene.client.marks == {CONV: {0: sid(1)}}
    assert scene.generator.progress() == (0, 2)


def test_without_receipts_nothing_is_answered() -> None:
    assert Scene(receipts=False).hear(**msg(0)) == []


def test_a_repeat_is_recorded_and_changes_nothing() -> None:
    scene = Scene()
    scene.hear(**msg(0))
    scene.hear(**msg(1))
    assert scene.hear(**msg(0)) == []
    assert scene.client.marks == {CONV: {0: sid(1)}}
    assert scene.generator.progress() == (0, 2)
    assert len(scene.generator.collect()[0].device) == 3


def test_a_gap_is_asked_for_from_before_it_until_it_is_filled() -> None:
    scene = Scene()
    scene.hear(**msg(0))
    sync = {"op": "sync", "marks": {CONV: sid(0)}}
    assert scene.hear(**msg(2)) == [sync, {"op": "delivered", "server_id": sid(2)}]
    assert scene.hear(**msg(3)) == [{"op": "delivered", "server_id": sid(3)}]
    assert scene.hear(**msg(5)) == [{"op": "delivered", "server_id": sid(5)}], "one question is under way"
    scene.generator.sync_all()
    assert scene.pipe.take() == [sync], "the mark before the gap still stands"
    messages = [Frame(**msg(number)) for number in range(6)]
    assert scene.hear(op="backfill", conv=CONV, messages=messages, mark=sid(5)) == [
        {"op": "delivered", "server_id": sid(4)}
    ]
    scene.generator.sync_all()
    assert scene.pipe.take() == [{"op": "sync", "marks": {CONV: sid(5)}}]


def test_each_chain_has_a_mark_of_its_own() -> None:
    scene = Scene()
    scene.hear(**msg(0))
    scene.hear(**msg(9, server_id=sid(9, 3), prev=None))
    scene.hear(**msg(4, server_id=sid(4, 5), prev=None))
    scene.generator.sync_all()
    mark = ",".join((sid(0), sid(9, 3), sid(4, 5)))
    assert scene.pipe.take() == [{"op": "sync", "marks": {CONV: mark}}]
    # Older than what another chain has, and one before it is missing.
    assert scene.hear(**msg(6, server_id=sid(6, 5), prev=sid(5, 5)))[0] == {"op": "sync", "marks": {CONV: mark}}


async def test_what_is_sent_is_known_again_by_its_ack() -> None:
    scene = Scene()
    await scene.generator.send(Send(first=5, count=2, per_s=1_000_000.0, start=0))
    five, six = scene.pipe.take()
    assert (five["op"], five["conv"]) == ("send", CONV)
    assert five["msg_id"] != six["msg_id"]
    scene.hear(op="ack", msg_id=five["msg_id"], server_id=sid(0))
    scene.hear(op="error", msg_id=six["msg_id"], code="unavailable")
    record, _ = scene.generator.collect()
    assert record.acked == {5: 7}
    assert record.refused == {6: "unavailable"}
    assert {number: sent.due for number, sent in record.sent.items()} == {5: 0, 6: 1_000}
    assert scene.hear(**msg(0, body=five["body"])) != []
    assert record.received[0].number == 5


def test_an_event_has_no_number() -> None:
    scene = Scene()
    scene.hear(**msg(0, kind="event", body=""))
    assert scene.generator.collect()[0].received[0].number == -1


@pytest.mark.parametrize("generators", [1, 2, 3])
def test_every_client_has_one_generator(generators: int) -> None:
    setups = [
        Setup(
            generator=number,
            generators=generators,
            tokens=["t"] * 7,
            addresses=[Address("127.0.0.1", 1)],
            writers=[],
            body_bytes=8,
            receipts=True,
        )
        for number in range(generators)
    ]
    clients = [number for setup in setups for number in Generator(setup)._clients]
    assert sorted(clients) == list(range(7))
