"""A conversation becomes hot, and cools down, while it is in use: real sockets, judged by what clients wrote down."""

import asyncio
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import pytest

from chatproject import runtime
from clients.python.chat_client.timeline import chain_of
from messaging.domain import ids
from messaging.services.hot import set_hot
from tests.client import Device
from tests.conftest import outside_the_loop
from tests.gateway.conftest import Server, conv_ref
from tests.history import Evidence, views_of, violations
from tests.rest import Account

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = 5


class Town:
    """A group of people with a device each."""

    def __init__(self, server: Server, users: list[Any]) -> None:
        gateway = f"127.0.0.1:{server.port}"
        self.conv = ""
        self.devices = [
            Device([gateway], Account(ids.user_ref(user.pk), server.token(user)), name=f"{n}", random=Random(n))
            for n, user in enumerate(users)
        ]
        self._said = 0

    async def found(self) -> None:
        for device in self.devices:
            await device.connect()
        members = [device.user for device in self.devices[1:]]
        made = await self.devices[0].rest.call("POST", "conversations", {"type": "group", "members": members})
        self.conv = made["id"]

    async def spread(self, k: int) -> None:
        id_ = ids.parse_conversation(self.conv)
        await asyncio.to_thread(outside_the_loop, lambda: set_hot(conversation_id=id_, k=k))

    async def talk(self, rounds: int) -> None:
        """Let everybody write, all at once, without waiting for anything in between."""
        for _ in range(rounds):
            self._said += 1
            await asyncio.gather(*(it.send(self.conv, f"{self._said} of {it.name}") for it in self.devices))

    async def at_rest(self) -> list[Any]:
        """Return the history, once everything written is acked and every device shows it."""
        count = sum(len(device.sent) for device in self.devices)
        for device in self.devices:
            await device.settled(*device.sent.values())
        for device in self.devices:
            await device.until(
                lambda it=device: sum(row.kind == "text" for row in it.timeline(self.conv).shown) == count
            )
            await device.repaired()
        history: list[Any] = await self.devices[0].rest.history(self.conv)
        return history


@pytest.fixture
async def town(server: Server, make_user: Callable[..., Any]) -> AsyncIterator[Town]:
    town = Town(server, [make_user(f"person{n}") for n in range(PEOPLE)])
    await town.found()
    yield town
    for device in town.devices:
        await device.close()


async def test_it_is_spread_and_gathered_while_everybody_writes(town: Town) -> None:
    writing = asyncio.create_task(town.talk(8))
    await town.devices[0].until(lambda: len(town.devices[0].sent) >= 2)
    await town.spread(3)
    await writing
    await town.talk(4)
    # One is away while there come to be chains that it has never seen, and of others more than it knows of.
    await town.devices[4].drop()
    await town.spread(31)
    await town.talk(4)
    await town.devices[4].connect()
    await town.spread(1)
    await town.talk(2)
    history = await town.at_rest()
    sent = [outgoing for device in town.devices for outgoing in device.sent.values()]
    evidence = Evidence(sent, {town.conv: history}, views_of(town.devices, [town.conv]))
    assert violations(evidence) == []
    assert len({chain_of(it.server_id) for it in history}) > 3


async def test_the_rate_alone_spreads_it(
    monkeypatch: pytest.MonkeyPatch, server: Server, make_user: Callable[..., Any], make_group: Callable[..., Any]
) -> None:
    router = runtime._router
    assert router is not None
    monkeypatch.setattr(router._heat, "_most", 10)
    ann, bob = make_user("ann"), make_user("bob")
    conv = conv_ref(make_group(ann, bob))
    writer, reader = await server.sign_in(ann), await server.sign_in(bob)
    # The ack after the one that the router heard of it with goes to another chain, as soon as the pod was told.
    for number in range(200):
        ack = await writer.say(conv, f"{number}")
        await reader.expect("msg", server_id=ack["server_id"])
        if chain_of(ack["server_id"]):
            break
    else:
        pytest.fail("it was never spread")
    assert number >= 10
