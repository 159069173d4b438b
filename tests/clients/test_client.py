"""The reference client against a real gateway: nothing is lost, doubled or out of order across its own death."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chatproject import runtime
from clients.python.chat_client import Client, FileStore, Message, Refused, Settings, SignedOut, Unreachable, sign_in
from clients.python.chat_client import client as implementation
from messaging.domain import ids
from tests.conftest import eventually
from tests.gateway.conftest import Server, conv_ref

pytestmark = pytest.mark.django_db(transaction=True)

QUICK = Settings(backoff_base_s=0.01, backoff_cap_s=0.05)


def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


async def bodies(client: Client, count: int) -> list[str]:
    """Take so many messages, and no more: the last one was not handled."""
    found: list[str] = []
    stream = client.messages()
    async with asyncio.timeout(20):
        async for message in stream:
            if message.kind == "text":
                found.append(message.body)
            if len(found) == count:
                break
    await stream.aclose()  # type: ignore[attr-defined]
    return found


@pytest.fixture
def pair(make_user: Callable[..., Any], make_dm: Callable[..., Any]) -> tuple[Any, Any, str]:
    ann, bob = make_user("ann"), make_user("bob")
    return ann, bob, conv_ref(make_dm(ann, bob))


@pytest.fixture
async def opened() -> AsyncIterator[Callable[[Client], Client]]:
    clients: list[Client] = []

    def keep(client: Client) -> Client:
        clients.append(client)
        return client

    yield keep
    for client in clients:
        await client.close()


async def test_it_signs_in_writes_and_reads(server: Server, make_user: Callable[..., Any], pair: Any) -> None:
    ann, bob, conv = pair
    for user in (ann, bob):
        user.set_password("correct horse battery")
        await user.asave()
    people = [
        await sign_in([address(server)], user.username, "correct horse battery", device="bot") for user in (ann, bob)
    ]
    assert [it.user for it in people] == [ids.user_ref(user.pk) for user in (ann, bob)]
    async with (
        Client([address(server)], people[0].token) as writer,
        Client([address(server)], people[1].token) as reader,
    ):
        await reader.until(lambda: reader.up)
        reading = asyncio.create_task(bodies(reader, 3))
        for number in range(3):
            await writer.accepted(await writer.send(conv, f"{number}"))
        assert await reading == ["0", "1", "2"]
        assert (writer.user, reader.user) == (people[0].user, people[1].user)
    with pytest.raises(Refused) as refused:
        await sign_in([address(server)], "ann", "wrong")
    assert (refused.value.status, refused.value.code) == (401, "unauthenticated")


async def test_what_was_there_before_the_first_start_is_not_told_as_new(
    server: Server, pair: Any, opened: Callable[[Client], Client]
) -> None:
    ann, bob, conv = pair
    writer = opened(Client([address(server)], server.token(ann)))
    await writer.connect()
    await writer.accepted(await writer.send(conv, "old"))
    reader = opened(Client([address(server)], server.token(bob)))
    reading = asyncio.create_task(bodies(reader, 1))
    await reader.connect()
    assert [it.body for it in reader.timeline(conv).shown] == ["old"]
    await writer.accepted(await writer.send(conv, "new"))
    assert await reading == ["new"]


async def test_after_its_death_it_goes_on_with_the_first_message_that_was_not_handled(
    server: Server, pair: Any, opened: Callable[[Client], Client], tmp_path: Path
) -> None:
    ann, bob, conv = pair
    token = server.token(bob)
    writer = opened(Client([address(server)], server.token(ann)))
    await writer.connect()
    reader = Client([address(server)], token, store=FileStore(tmp_path / "bob.db"))
    await reader.connect()
    for number in range(4):
        await writer.accepted(await writer.send(conv, f"{number}"))
    assert await bodies(reader, 3) == ["0", "1", "2"]
    await reader.close()
    for number in range(4, 6):
        await writer.accepted(await writer.send(conv, f"{number}"))
    # "2" was given and not handled, so it comes again, and what came before does not: in spite of the server's margin.
    again = opened(Client([address(server)], token, store=FileStore(tmp_path / "bob.db")))
    await again.connect()
    assert again.timeline(conv).shown[0].body == "2"
    assert await bodies(again, 4) == ["2", "3", "4", "5"]


async def test_the_outbox_outlives_the_process(
    server: Server, pair: Any, opened: Callable[[Client], Client], tmp_path: Path
) -> None:
    ann, bob, conv = pair
    token = server.token(ann)
    writer = Client([address(server)], token, store=FileStore(tmp_path / "ann.db"))
    first = await writer.send(conv, "written offline")
    assert not first.written
    await writer.close()
    again = opened(Client([address(server)], token, store=FileStore(tmp_path / "ann.db")))
    [kept] = again.outbox
    assert (kept.msg_id, kept.body) == (first.msg_id, "written offline")
    await again.connect()
    await again.accepted(kept)
    await again.close()
    # Nothing is left to be sent by a third.
    assert FileStore(tmp_path / "ann.db").outbox() == []
    reader = opened(Client([address(server)], server.token(bob)))
    await reader.connect()
    assert [it.body for it in reader.timeline(conv).shown] == ["written offline"]


async def test_it_comes_back_by_itself_and_gives_each_message_once(
    start_server: Callable[[], Awaitable[Server]], pair: Any
) -> None:
    ann, bob, conv = pair
    server = await start_server()
    servers = [address(server)]
    async with (
        Client(servers, server.token(ann), settings=QUICK) as writer,
        Client(servers, server.token(bob), settings=QUICK) as reader,
    ):
        await reader.until(lambda: reader.up)
        reading = asyncio.create_task(bodies(reader, 6))
        for number in range(3):
            await writer.accepted(await writer.send(conv, f"{number}"))
        await server.stop()
        await reader.until(lambda: not reader.connected)
        left = [await writer.send(conv, f"{number}") for number in range(3, 6)]
        servers[0] = address(await start_server())
        for outgoing in left:
            await writer.accepted(outgoing)
        assert await reading == [f"{number}" for number in range(6)]


async def test_a_refusal_is_told(
    server: Server,
    pair: Any,
    make_user: Callable[..., Any],
    make_dm: Callable[..., Any],
    opened: Callable[[Client], Client],
) -> None:
    ann, bob, _conv = pair
    theirs = conv_ref(make_dm(bob, make_user("carol")))
    writer = opened(Client([address(server)], server.token(ann)))
    await writer.connect()
    with pytest.raises(Refused) as refused:
        await writer.accepted(await writer.send(theirs, "let me in"))
    assert refused.value.code == "not_found"
    assert writer.outbox == []


async def test_whoever_is_signed_out_is_told_and_does_not_knock_again(server: Server, pair: Any) -> None:
    ann, _bob, _conv = pair
    async with Client([address(server)], server.token(ann), settings=QUICK) as client:
        await client.until(lambda: client.up)
        reading = asyncio.create_task(bodies(client, 1))
        await client.rest.call("DELETE", "tokens/current")
        with pytest.raises(SignedOut) as told:
            await reading
        assert told.value.code == 4401
        assert client.signed_out == 4401


async def test_nobody_there_is_unreachable(opened: Callable[[Client], Client]) -> None:
    client = opened(Client(["http://127.0.0.1:9"], "token"))
    with pytest.raises(Unreachable):
        await client.connect()
    assert not client.connected


async def test_one_server_of_two_is_enough(server: Server, pair: Any, opened: Callable[[Client], Client]) -> None:
    ann, bob, conv = pair
    writer = await server.sign_in(bob)
    said = (await writer.say(conv))["server_id"]
    await writer.expect("msg", server_id=said)
    # Nobody listens at the other, which every call would meet half of the time.
    client = opened(Client(["http://127.0.0.1:9", address(server)], server.token(ann), random=Random(1)))
    for _ in range(20):
        assert [it["id"] for it in await client.rest.conversations()] == [conv]
    while not client.connected:
        with contextlib.suppress(Unreachable):
            await client.connect()
    # It held nothing, so it has read everything over REST.
    assert client.timeline(conv).holds(said)


async def test_whoever_does_not_take_messages_does_not_get_more_than_they_can_hold(
    monkeypatch: pytest.MonkeyPatch, server: Server, pair: Any, opened: Callable[[Client], Client]
) -> None:
    monkeypatch.setattr(implementation, "_MAX_UNTAKEN", 5)
    ann, bob, conv = pair
    writer = opened(Client([address(server)], server.token(ann)))
    reader = opened(Client([address(server)], server.token(bob)))
    await writer.connect()
    await reader.connect()
    stream = reader.messages()
    first: asyncio.Task[Message] = asyncio.ensure_future(anext(stream))
    for number in range(30):
        await writer.accepted(await writer.send(conv, f"{number}"))
    assert (await first).body == "0"
    await reader.until(lambda: len(reader._untaken or ()) == 5)
    taken = ["0"]
    async with asyncio.timeout(20):
        while len(taken) < 30:
            taken.append((await anext(stream)).body)
    assert taken == [f"{number}" for number in range(30)]


async def test_in_a_large_group_it_spreads_its_receipts(
    start_server: Any, limits: Any, make_user: Any, make_group: Any, opened: Callable[[Client], Client]
) -> None:
    limits(receipt_spread_ms=1_000, max_group_small=3)
    server = await start_server()
    ann, bob = make_user("ann"), make_user("bob")
    conv = conv_ref(make_group(ann, bob, *(make_user(f"member{number}") for number in range(4))))
    reader = opened(Client([address(server)], server.token(bob), random=Random(7)))
    writer = opened(Client([address(server)], server.token(ann)))
    for client in (reader, writer):
        await client.connect()
    staying = asyncio.create_task(reader._stay())
    pod = await runtime.pod()
    await writer.accepted(await writer.send(conv, "to all"))
    await reader.until(lambda: len(reader._owed) == 1, timeout_s=10)
    assert pod.deadlines._written, "not at once"
    # By itself, with no other frame that would have it look again.
    await eventually(lambda: not pod.deadlines._written, timeout_s=5)
    staying.cancel()
