"""What was acked survives kill -9 of everything, again and again, in the middle of traffic (design section 1)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.client import Device, Outgoing
from tests.history import Evidence, views_of, violations
from tests.process.stacks import EmbeddedStack, Stack
from tests.rest import Account, Rest
from tests.timeline import Message

pytestmark = [pytest.mark.process, pytest.mark.slow]

SEED: Final = 1
SENDERS: Final = 20
MESSAGES: Final = 2_000
KILLS: Final = 5
#: Messages that a sender has in flight at most.
WINDOW: Final = 5
#: Up to here the server counts unread messages.
UNREAD_CAP: Final = 100
#: For whatever waits for servers that start again and clients that back off.
PATIENCE_S: Final = 90.0


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    # All of them send and read faster than people do.
    rates = {"CHAT_SEND_RATE": "1000", "CHAT_SEND_BURST": "1000", "CHAT_API_RATE": "100000/min"}
    with EmbeddedStack(tmp_path / "data", **rates) as started:
        yield started


class Town:
    """People with devices that look after themselves, and the conversations they have."""

    def __init__(self, devices: list[Device], members: dict[str, list[str]]) -> None:
        self.devices = devices
        #: Conversation -> users.
        self.members = members
        self.acked = 0
        self._progress = asyncio.Condition()

    @property
    def sent(self) -> list[Outgoing]:
        return [outgoing for device in self.devices for outgoing in device.sent.values()]

    @property
    def in_flight(self) -> int:
        return sum(len(device.outbox) for device in self.devices)

    async def until_acked(self, count: int) -> None:
        async with self._progress:
            await self._progress.wait_for(lambda: self.acked >= count)

    async def talk(self, device: Device, count: int, random: Random) -> None:
        """Send ``count`` messages to conversations of the device's user, some waiting for each ack and some not."""
        mine = [conv for conv, users in self.members.items() if device.user in users]
        number = 0
        while number < count:
            window = random.choice([1, random.randint(2, WINDOW)])
            written = [
                await device.send(random.choice(mine), f"{device.name} {n}")
                for n in range(number, min(number + window, count))
            ]
            number += len(written)
            try:
                await device.settled(*written, timeout_s=PATIENCE_S)
            except TimeoutError:
                raise AssertionError(f"{device.name} waits for {device.outbox}; {device.attempts}") from None
            seen = device.timeline(random.choice(mine)).mark
            if seen is not None and random.random() < 0.1:
                await device.tell("read", server_id=seen)
            async with self._progress:
                self.acked += len(written)
                self._progress.notify_all()


@contextlib.asynccontextmanager
async def town(stack: Stack, random: Random) -> AsyncIterator[Town]:
    """Twenty people, some with two devices; direct conversations in a ring, and two groups."""
    people = await asyncio.to_thread(stack.people, {f"person{n}": 2 if n < 3 else 1 for n in range(SENDERS)})
    accounts = [devices[0] for devices in people.values()]
    devices = [
        Device(
            stack.gateways,
            account,
            name=f"{name}'s {number}",
            random=Random(random.random()),
            # A half minute's back-off would make long pauses of short outages.
            backoff_cap_s=4.0,
            heartbeat_s=5.0,
        )
        for number in range(2)
        for name, its in people.items()
        for account in its[number : number + 1]
    ]
    members: dict[str, list[str]] = {}
    for number, account in enumerate(accounts):
        await _converse(members, stack, account, "dm", [accounts[(number + 1) % SENDERS]])
    await _converse(members, stack, accounts[0], "group", accounts[1:])
    await _converse(members, stack, accounts[7], "group", accounts[8:15])
    running = [asyncio.create_task(device.run()) for device in devices]
    try:
        for device in devices:
            await device.until(partial(getattr, device, "connected"))
        yield Town(devices, members)
    finally:
        for task in running:
            task.cancel()
        ended = await asyncio.gather(*running, return_exceptions=True)
        for device in devices:
            await device.close()
    assert [it for it in ended if not isinstance(it, asyncio.CancelledError)] == []


async def _converse(
    members: dict[str, list[str]], stack: Stack, first: Account, kind: str, others: list[Account]
) -> None:
    rest = Rest(stack.gateways, first.token)
    body = {"type": kind, "members": [other.user for other in others]}
    conv = (await rest.call("POST", "conversations", body))["id"]
    members[conv] = [account.user for account in (first, *others)]
    await rest.close()


async def kill_again_and_again(stack: Stack, town: Town, random: Random) -> None:
    """Kill and restart at random moments, all of them in the middle of the traffic."""
    share = MESSAGES // (KILLS + 1)
    for number in range(KILLS):
        await town.until_acked(share * number + random.randint(share // 2, share))
        assert town.in_flight, "nothing would be at stake"
        for name in stack.names:
            await asyncio.to_thread(stack.kill, name)
        for name in stack.names:
            await asyncio.to_thread(stack.restart, name)


async def test_what_was_acked_survives_any_number_of_kills(stack: Stack) -> None:
    random = Random(SEED)
    async with asyncio.timeout(5 * PATIENCE_S), town(stack, random) as it:
        async with asyncio.TaskGroup() as group:
            group.create_task(kill_again_and_again(stack, it, random))
            for device in it.devices[:SENDERS]:
                group.create_task(it.talk(device, MESSAGES // SENDERS, Random(random.random())))
        assert len(it.sent) == MESSAGES
        assert [outgoing.refusal for outgoing in it.sent if outgoing.refusal is not None] == []
        assert any(len(outgoing.written) > 1 for outgoing in it.sent), "nothing was ever sent again"
        await everything_arrived(it)
        history = {conv: await history_of(it, conv) for conv in it.members}
        assert violations(Evidence(it.sent, history, views_of(it.devices, history))) == []
        await unread_counts_are_true(it, history, random)


async def everything_arrived(town: Town) -> None:
    """Wait until every device shows all that was acked, as heartbeats and repairs bring it; but not for ever."""
    acked = {conv: {it.server_id for it in town.sent if it.conv == conv} - {None} for conv in town.members}

    def complete(device: Device) -> bool:
        mine = [conv for conv, users in town.members.items() if device.user in users]
        return all(device.timeline(conv).shows(str(it)) for conv in mine for it in acked[conv])

    # What does not come is named by the judge.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            for device in town.devices:
                await device.until(partial(complete, device), timeout_s=PATIENCE_S)


async def history_of(town: Town, conv: str) -> list[Message]:
    """Return a conversation's history, which is the same for each member."""
    members = [device for device in town.devices[:SENDERS] if device.user in town.members[conv]]
    histories = [await device.rest.history(conv) for device in members]
    assert all(history == histories[0] for history in histories)
    return histories[0]


async def unread_counts_are_true(town: Town, history: dict[str, list[Message]], random: Random) -> None:
    """Recount what is unread: after what was read during the traffic, and once more after a further reading."""
    for device in town.devices[:SENDERS]:
        conversations = await device.rest.conversations()
        assert {it["id"] for it in conversations} == {it for it, users in town.members.items() if device.user in users}
        for before in conversations:
            conv = before["id"]
            assert before["unread_count"] == recount(history[conv], device.user, before["last_read"])
            read = random.choice(history[conv]).server_id
            stands = await device.rest.call("PUT", f"conversations/{conv}/read", {"server_id": read})
            after = await device.rest.call("GET", f"conversations/{conv}")
            # Receipts of the traffic may still arrive and move it on, but nothing moves it back.
            marks = [before["last_read"], read, stands["server_id"], after["last_read"]]
            place = [None, *(message.server_id for message in history[conv])].index
            assert max(map(place, marks[:2])) <= place(marks[2]) <= place(marks[3])
            assert after["unread_count"] == recount(history[conv], device.user, after["last_read"])


def recount(history: list[Message], user: str, mark: str | None) -> int:
    """Return how many texts of others come after the mark, up to what the server counts to."""
    ids = [message.server_id for message in history]
    after = history if mark is None else history[ids.index(mark) + 1 :]
    return min(UNREAD_CAP, sum(message.kind == "text" and message.sender != user for message in after))
