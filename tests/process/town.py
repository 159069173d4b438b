"""A town: people with devices that look after themselves, what they say to each other, and a judge of all that arrived.

It runs on any ``Stack`` while that is harmed.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from secrets import token_hex
from typing import Final

from clients.python.chat_client.timeline import Message, order_of
from tests.client import Device, Outgoing
from tests.history import Evidence, views_of, violations
from tests.process.stacks import Stack
from tests.rest import Account, Rest

SENDERS: Final = 20
#: Messages that a sender has in flight at most.
WINDOW: Final = 5
#: Up to here the server counts unread messages.
UNREAD_CAP: Final = 100
#: For whatever waits for servers that start again and clients that back off.
PATIENCE_S: Final = 90.0
#: All sign up, send and read from one address, and faster than people do.
OPEN_RATES: Final = {
    **dict.fromkeys(("CHAT_SIGNUP_RATE", "CHAT_LOGIN_RATE", "CHAT_API_RATE"), "100000/min"),
    "CHAT_SEND_RATE": "1000",
    "CHAT_SEND_BURST": "1000",
}


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
    def changed(self) -> list[Outgoing]:
        return [outgoing for device in self.devices for outgoing in device.changed.values()]

    @property
    def moderators(self) -> dict[str, list[str]]:
        """Who may delete what others wrote: of a group, who made it."""
        return {conv: users[:1] for conv, users in self.members.items() if len(users) > 2}

    def evidence(self, history: Mapping[str, Sequence[Message]], *, pipelined: bool = True) -> Evidence:
        """Return what is to be judged; ``pipelined`` as in ``Evidence``."""
        told = {server_id: change for device in self.devices for server_id, change in device.changes.items()}
        return Evidence(
            self.sent,
            history,
            views_of(self.devices, history),
            changed=self.changed,
            told=told,
            moderators=self.moderators,
            pipelined=pipelined,
        )

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


@asynccontextmanager
async def town(stack: Stack, random: Random) -> AsyncIterator[Town]:
    """Twenty people, some with two devices; direct conversations in a ring, and two groups."""
    town = token_hex(3)
    people = await asyncio.to_thread(stack.people, {f"{town}-person{n}": 2 if n < 3 else 1 for n in range(SENDERS)})
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
            await device.until(lambda device=device: device.connected)  # type: ignore[misc]
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


async def all_is_well(town: Town, random: Random) -> None:
    """Hold what was sent, what arrived, what is in the history and what is counted against each other."""
    assert [outgoing.refusal for outgoing in town.sent if outgoing.refusal is not None] == []
    await everything_arrived(town)
    history = {conv: await history_of(town, conv) for conv in town.members}
    assert violations(town.evidence(history)) == []
    await unread_counts_are_true(town, history, random)


async def everything_arrived(town: Town) -> None:
    """Wait until every device shows all that was acked, as its heartbeat and its repairs bring it."""
    sent = town.sent

    def missing(device: Device) -> list[Outgoing]:
        # Asked anew each time: an ack of a copy is corrected later.
        messages = [
            it
            for it in sent
            if device.user in town.members[it.conv] and not device.timeline(it.conv).shows(str(it.server_id))
        ]
        return messages + [it for it in device.changed.values() if not _has_come_back(it, device)]

    for device in town.devices:
        try:
            await device.until(lambda device=device: not missing(device), timeout_s=PATIENCE_S)  # type: ignore[misc]
        except TimeoutError:
            raise AssertionError(f"{device.name} lacks {missing(device)}; {device.attempts}") from None
    # Now somebody has each change: that of the chain which is the newest ends what the others wait for.
    newest = {conv: max((it.timeline(conv).mark for it in town.devices), key=order_of) for conv in town.members}

    def behind(device: Device) -> list[str]:
        return [
            conv
            for conv, mark in newest.items()
            if device.user in town.members[conv] and order_of(device.timeline(conv).mark) < order_of(mark)
        ]

    for device in town.devices:
        try:
            await device.until(lambda device=device: not behind(device), timeout_s=PATIENCE_S)  # type: ignore[misc]
        except TimeoutError:
            raise AssertionError(f"{device.name} is behind in {behind(device)}; {device.attempts}") from None


def _has_come_back(change: Outgoing, device: Device) -> bool:
    """Return whether a device has its own change, or never will: it was refused, or there is nothing to change."""
    timeline = device.timeline(change.conv)
    if change.refusal is not None or change.stored_as is not None:
        return True
    # Where its message was deleted first it is dropped at its place in the log, and the word of that may be lost.
    return order_of(change.server_id) <= order_of(timeline.mark) or any(
        it.deleted for it in timeline.shown if it.server_id == change.target
    )


async def history_of(town: Town, conv: str) -> list[Message]:
    """Return a conversation's history, which is the same for each member."""
    histories = [
        await device.rest.history(conv) for device in town.devices[:SENDERS] if device.user in town.members[conv]
    ]
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
