"""Heartbeats that lack nothing cost one question between all of them, and whatever is missing is found as before."""

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from chatproject import runtime
from messaging.gateway import consumer
from messaging.gateway.pod import Pod
from messaging.services.hot import set_hot
from tests.conftest import outside_the_loop
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
    from messaging import endings  # noqa: F401

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
