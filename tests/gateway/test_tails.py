"""Heartbeats that lack nothing cost one question between all of them, and whatever is missing is found as before."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from chatproject import container, runtime
from messaging.domain import frames, ids
from messaging.domain.events import Deliver, decode_batch
from messaging.domain.ids import ConversationId, Mark, MessageId, UserId
from messaging.gateway import consumer, tails
from messaging.gateway.pod import Pod
from messaging.gateway.tails import Trail
from messaging.ports import StoreUnavailable
from messaging.services.hot import set_hot
from tests.conftest import eventually, outside_the_loop
from tests.gateway.conftest import Client, Frame, Server, conv_ref

pytestmark = pytest.mark.django_db(transaction=True)


def asked(kind: str) -> float:
    return REGISTRY.get_sample_value("chat_syncs_total", {"what": kind}) or 0.0


@pytest.fixture
def all_asked() -> Callable[[], tuple[float, float]]:
    """Return a function that gives how many syncs asked for the ends alone, and for all, since its last call."""
    before = [asked("ends"), asked("all")]

    def since() -> tuple[float, float]:
        now = [asked("ends"), asked("all")]
        grown = (now[0] - before[0], now[1] - before[1])
        before[:] = now
        return grown

    return since


async def sync(client: Client, marks: dict[str, str]) -> list[Frame]:
    client.passed.clear()
    await client.send("sync", marks=marks)
    await client.expect("synced")
    return [frame for frame in client.passed if frame["op"] == "backfill"]


async def test_the_first_sync_asks_for_all_and_a_heartbeat_for_the_ends(
    server: Server, make_user: Callable[..., Any], make_dm: Callable[..., Any], all_asked: Callable[..., Any]
) -> None:
    ann, bob, carol = make_user("ann"), make_user("bob"), make_user("carol")
    named = conv_ref(make_dm(ann, bob))
    make_dm(ann, carol)
    writer, reader = await server.sign_in(bob), await server.sign_in(ann)
    said = (await writer.say(named))["server_id"]
    await reader.expect("msg", server_id=said)
    assert await sync(reader, {named: said}) == []
    assert all_asked() == (0, 1)
    assert await sync(reader, {named: said}) == []
    assert all_asked() == (1, 0)
    # What is newer than the mark is found at once.
    newer = (await writer.say(named))["server_id"]
    await reader.expect("msg", server_id=newer)
    [backfill] = await sync(reader, {named: said})
    assert (backfill["conv"], backfill["mark"]) == (named, newer)
    assert all_asked() == (0, 1)
    # Also for whoever names no mark at all: with what is empty left out.
    assert {it["conv"] for it in await sync(reader, {})} == {named}


async def test_what_nobody_named_is_found_when_all_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
    server: Server,
    make_user: Callable[..., Any],
    make_dm: Callable[..., Any],
    all_asked: Callable[..., Any],
) -> None:
    ann, bob, carol = make_user("ann"), make_user("bob"), make_user("carol")
    named, unnamed = conv_ref(make_dm(ann, bob)), conv_ref(make_dm(ann, carol))
    first, second, reader = [await server.sign_in(user) for user in (bob, carol, ann)]
    said = (await first.say(named))["server_id"]
    await reader.expect("msg", server_id=said)
    await sync(reader, {named: said})
    later = (await second.say(unnamed))["server_id"]
    await reader.expect("msg", server_id=later)
    assert await sync(reader, {named: said}) == []
    monkeypatch.setattr(consumer, "_ALL_S", 0.0)
    [backfill] = await sync(reader, {named: said})
    assert (backfill["conv"], backfill["mark"]) == (unnamed, later)
    assert all_asked() == (1, 2)


async def test_in_a_hot_conversation_each_chain_counts(
    server: Server, make_user: Callable[..., Any], make_group: Callable[..., Any]
) -> None:
    ann, bob, carol = make_user("ann"), make_user("bob"), make_user("carol")
    group = make_group(ann, bob, carol)
    conv = conv_ref(group)
    first, second, reader = [await server.sign_in(user) for user in (bob, carol, ann)]
    said = (await first.say(conv))["server_id"]
    await reader.expect("msg", server_id=said)
    await sync(reader, {conv: said})
    outside_the_loop(lambda: set_hot(conversation_id=group.id, k=8))
    for _ in range(4):
        for writer in (first, second):
            id_ = (await writer.say(conv))["server_id"]
            await reader.expect("msg", server_id=id_)
    [backfill] = await sync(reader, {conv: said})
    parts = backfill["mark"].split(",")
    assert len(parts) > 1
    assert await sync(reader, {conv: backfill["mark"]}) == []
    # A chain that the mark does not name is missing as a whole.
    assert len(await sync(reader, {conv: parts[0]})) == 1


async def test_after_lost_batches_all_is_asked_again(
    server: Server, make_user: Callable[..., Any], make_dm: Callable[..., Any], all_asked: Callable[..., Any]
) -> None:
    ann, bob = make_user("ann"), make_user("bob")
    conv = conv_ref(make_dm(ann, bob))
    writer, reader = await server.sign_in(bob), await server.sign_in(ann)
    said = (await writer.say(conv))["server_id"]
    await reader.expect("msg", server_id=said)
    await sync(reader, {conv: said})
    pod: Pod = await runtime.pod()
    await pod._ask_to_sync()
    await reader.expect("resync")
    all_asked()
    await sync(reader, {conv: said})
    assert all_asked() == (0, 1)


async def test_who_has_all_that_was_not_named_is_not_asked_for_all(
    monkeypatch: pytest.MonkeyPatch, server: Server, make_user: Callable[..., Any], make_dm: Callable[..., Any]
) -> None:
    ann, bob, carol = make_user("ann"), make_user("bob"), make_user("carol")
    named, before = conv_ref(make_dm(ann, bob)), conv_ref(make_dm(ann, carol))
    first, second, reader = [await server.sign_in(user) for user in (bob, carol, ann)]
    older = (await second.say(before))["server_id"]
    await reader.expect("msg", server_id=older)
    said = (await first.say(named))["server_id"]
    await reader.expect("msg", server_id=said)
    await sync(reader, {named: said})
    monkeypatch.setattr(consumer, "_ALL_S", 0.0)
    all_before, unnamed_before = asked("all"), asked("unnamed")
    assert await sync(reader, {named: said}) == []
    assert (asked("all") - all_before, asked("unnamed") - unnamed_before) == (0, 1)


class Crowd:
    """A conversation that counts as large, a writer, and a reader who holds ``said`` and has asked for all once.

    What comes over the bus waits until ``flowing`` is set, as it is at first, and is lost while ``losing``:
    ``lost`` has the ids of these messages.
    """

    def __init__(self, conv: str, writer: Client, reader: Client, said: str) -> None:
        self.conv = conv
        self.writer = writer
        self.reader = reader
        self.said = said
        self.losing = False
        self.lost: set[str] = set()
        self.flowing = asyncio.Event()
        self.flowing.set()

    async def say(self) -> str:
        """Say something, and return its id once it is in the store."""
        id_: str = (await self.writer.say(self.conv))["server_id"]
        conversation, message = ids.parse_server_id(id_)

        async def stored() -> bool:
            ends = await asyncio.to_thread(container.conversation_store().ends, [conversation])
            return message in ends[conversation].values()

        await eventually(stored)
        return id_

    async def lose(self) -> str:
        """Say something that the bus loses, and return its id once it has, which is after the store has it."""
        self.losing = True
        id_ = await self.say()
        await eventually(lambda: id_ in self.lost)
        self.losing = False
        return id_


@pytest.fixture
async def crowd(
    monkeypatch: pytest.MonkeyPatch, server: Server, make_user: Callable[..., Any], make_group: Callable[..., Any]
) -> Crowd:
    monkeypatch.setattr(tails, "_MANY", 1)
    # Anything said here is new, however slow the machine is, and what is lost is looked for at once.
    monkeypatch.setattr(tails, "ON_ITS_WAY_S", 60.0)
    monkeypatch.setattr(consumer, "ON_ITS_WAY_S", 0.05)
    ann, bob = make_user("ann"), make_user("bob")
    conv = conv_ref(make_group(ann, bob))
    writer, reader = await server.sign_in(bob), await server.sign_in(ann)
    made = Crowd(conv, writer, reader, "")
    pod: Pod = await runtime.pod()
    receive = pod.bus.receive

    async def unreliable(name: str) -> bytes:
        while True:
            payload = await receive(name)
            await made.flowing.wait()
            if not made.losing:
                return payload
            delivered = [event.frame for event in decode_batch(payload).events if isinstance(event, Deliver)]
            made.lost |= {frame.server_id for frame in delivered if isinstance(frame, frames.Msg)}

    monkeypatch.setattr(pod.bus, "receive", unreliable)
    # The listener waits in the bus's own until the next batch.
    for _ in range(2):
        made.said = await made.say()
        await reader.expect("msg", server_id=made.said)
    await sync(reader, {conv: made.said})
    return made


async def test_what_was_written_meanwhile_is_not_asked_for(crowd: Crowd) -> None:
    newer = [await crowd.say() for _ in range(3)]
    await crowd.reader.expect("msg", server_id=newer[-1])
    before, all_before = asked("written"), asked("all")
    assert await sync(crowd.reader, {crowd.conv: crowd.said}) == []
    assert (asked("written") - before, asked("all") - all_before) == (1, 0)


async def test_what_is_on_its_way_is_waited_for(monkeypatch: pytest.MonkeyPatch, crowd: Crowd) -> None:
    monkeypatch.setattr(consumer, "ON_ITS_WAY_S", 3.0)
    reader, all_before = crowd.reader, asked("all")
    crowd.flowing.clear()
    newer = await crowd.say()
    await reader.send("sync", marks={crowd.conv: crowd.said})
    assert [frame for frame in await reader.quiet() if frame["op"] == "synced"] == []
    crowd.flowing.set()
    await reader.expect("msg", server_id=newer)
    assert (await reader.expect("synced"))["convs"] == 0
    assert asked("all") == all_before


async def test_what_was_lost_on_its_way_is_found(crowd: Crowd) -> None:
    lost = await crowd.lose()
    [backfill] = await sync(crowd.reader, {crowd.conv: crowd.said})
    assert backfill["mark"] == lost


@pytest.mark.logs_errors
async def test_what_cannot_be_looked_for_again_is_refused(monkeypatch: pytest.MonkeyPatch, crowd: Crowd) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("no node answers")

    monkeypatch.setattr(consumer.history, "backfill", away)
    await crowd.lose()
    await crowd.reader.send("sync", marks={crowd.conv: crowd.said})
    await crowd.reader.refusal("unavailable")


async def test_what_was_lost_before_something_that_came_is_found(crowd: Crowd) -> None:
    lost = await crowd.lose()
    came = await crowd.say()
    await crowd.reader.expect("msg", server_id=came)
    [backfill] = await sync(crowd.reader, {crowd.conv: crowd.said})
    assert {lost, came} <= {message["server_id"] for message in backfill["messages"]}


class Writing:
    """A trail, and a clock that stands still."""

    ANN, BOB, CAROL = UserId(1), UserId(2), UserId(3)
    CONV = ConversationId(9)

    def __init__(self) -> None:
        self.trail = Trail()
        self.now = 100.0

    def write(self, number: int, prev: int | None, *users: UserId, conv: ConversationId = CONV) -> None:
        frame = frames.Link(
            server_id=ids.server_id(conv, number),
            conv=ids.conversation_ref(conv),
            prev=None if prev is None else ids.server_id(conv, prev),
        )
        self.trail.writes(frame, users, now=self.now)

    def leads(self, user: UserId, mark: int | None, end: int) -> bool:
        marks = {self.CONV: {} if mark is None else {0: MessageId(mark)}}
        return self.trail.leads(user, marks, {self.CONV: {0: MessageId(end)}})


@pytest.fixture
def writing(monkeypatch: pytest.MonkeyPatch) -> Writing:
    monkeypatch.setattr(tails, "_MANY", 1)
    return Writing()


def test_a_trail_is_whole_or_none(writing: Writing) -> None:
    writing.write(2, 1, writing.ANN, writing.BOB)
    writing.write(3, 2, writing.ANN)
    writing.write(4, 3, writing.ANN, writing.BOB)
    assert writing.leads(writing.ANN, 1, 4)
    assert writing.leads(writing.ANN, 3, 4)
    # What lies between was not written to this one, nor what comes before what is known here, nor what comes after.
    assert not writing.leads(writing.BOB, 1, 4)
    assert writing.leads(writing.BOB, 3, 4)
    assert not writing.leads(writing.CAROL, 3, 4)
    assert not writing.leads(writing.ANN, 0, 4)
    assert not writing.leads(writing.ANN, 4, 5)


def test_a_trail_does_not_begin_for_whoever_has_no_mark(writing: Writing) -> None:
    writing.write(1, None, writing.ANN)
    assert not writing.leads(writing.ANN, None, 1)


def test_a_trail_is_of_all_chains_that_have_news(writing: Writing) -> None:
    writing.write(2, 1, writing.ANN)
    marks: dict[ConversationId, Mark] = {writing.CONV: {0: MessageId(1), 1: MessageId(33)}}
    ends: dict[ConversationId, Mark] = {writing.CONV: {0: MessageId(2), 1: MessageId(65)}}
    assert not writing.trail.leads(writing.ANN, marks, ends)
    writing.write(65, 33, writing.ANN)
    assert writing.trail.leads(writing.ANN, marks, ends)


def test_a_trail_is_forgotten(monkeypatch: pytest.MonkeyPatch, writing: Writing) -> None:
    writing.write(2, 1, writing.ANN)
    writing.now += 11
    writing.write(3, 2, writing.ANN)
    assert writing.leads(writing.ANN, 2, 3)
    assert not writing.leads(writing.ANN, 1, 3)
    # What is written again is as it is now.
    writing.write(3, 2, writing.BOB)
    assert not writing.leads(writing.ANN, 2, 3)
    monkeypatch.setattr(tails, "_MAX_USERS", 3)
    writing.write(4, 3, writing.ANN, writing.BOB, writing.CAROL)
    writing.write(5, 4, writing.ANN, writing.BOB)
    writing.write(6, 5, writing.ANN)
    assert writing.leads(writing.ANN, 4, 6)
    assert not writing.leads(writing.ANN, 3, 6)
    writing.trail.clear()
    assert not writing.leads(writing.ANN, 4, 6)


def test_only_what_is_new_and_of_many_may_be_on_its_way(monkeypatch: pytest.MonkeyPatch, writing: Writing) -> None:
    writing.write(2, 1, writing.ANN)
    new = ids.first_id_at(int(time.time() * 1000))
    old = ids.first_id_at(int(time.time() * 1000) - 5_000)
    assert writing.trail.may_come({writing.CONV: {0: new}})
    assert not writing.trail.may_come({writing.CONV: {0: new, 1: old}})
    assert not writing.trail.may_come({writing.CONV: {0: new}, ConversationId(8): {0: new}})
    # So many are remembered to be large.
    monkeypatch.setattr(tails, "_MAX_LARGE", 1)
    writing.write(3, None, writing.ANN, conv=ConversationId(8))
    assert not writing.trail.may_come({writing.CONV: {0: new}})
