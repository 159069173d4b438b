"""Any sequence of sends, resends, cuts, crashes, joins and departures keeps every promise (docs/protocol.md).

A hypothesis state machine moves real clients against a ``System`` and remembers in plain lists and dicts what must be
true. In between, and in the end, it lets everything come to rest and judges what the clients wrote down.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import combinations, pairwise
from random import Random
from typing import Any, Final, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clients.python.chat_client.timeline import Message, chain_of, order_of, parts_of
from messaging.domain.ids import MAX_HOT_K, MAX_ID, REPLAY_MARGIN_MS, conversation_ref, parse_server_id, timestamp_ms
from tests.client import Backfilled, Device, Outgoing
from tests.history import Evidence, stays, views_of, violations
from tests.machine.system import System
from tests.rest import Refused

T = TypeVar("T")

#: People and how many devices each has.
PEOPLE: Final = {"ann": 2, "bob": 2, "cat": 1, "dan": 1}
UNREAD_CAP: Final = 100

devices = st.integers(0, sum(PEOPLE.values()) - 1)
index = st.integers(0, 1000)


class Part(Enum):
    """What may crash. The router stays away until it is released."""

    ALL = auto()
    ALL_AND_HOLD_ROUTER = auto()
    ROUTER = auto()
    FIRST_GATEWAY = auto()
    SECOND_GATEWAY = auto()


@dataclass
class Talk:
    """What the model knows of a conversation."""

    conv: str
    owner: str
    group: bool
    #: Who is in it now, by name.
    members: set[str]
    #: The events of its history: kind, and the users it tells of.
    events: list[tuple[str, frozenset[str]]]
    #: Who is or ever was not in it, by name.
    outside: set[str]
    #: Whether it is or ever was hot.
    hot: bool = False


class ChatMachine(RuleBasedStateMachine):
    """People with devices who talk, come and go, while the servers crash."""

    def __init__(self, system: System, runner: asyncio.Runner) -> None:
        super().__init__()
        self.system = system
        self.runner = runner
        accounts = system.people(PEOPLE)
        self.user = {name: its[0].user for name, its in accounts.items()}
        self.name = {user: name for name, user in self.user.items()}
        self.devices = [
            Device(system.gateways, account, name=f"{name} {number}", random=Random(number))
            for name, its in accounts.items()
            for number, account in enumerate(its)
        ]
        self.talks: list[Talk] = []
        self.held = False
        #: Whether a step failed: what comes after it proves nothing.
        self.failed = False
        self.bodies = 0
        #: (name, conversation) -> read marks that were asked for, and the one that was confirmed last.
        self.marks_asked: dict[tuple[str, str], set[str]] = {}
        self.mark_confirmed: dict[tuple[str, str], str] = {}
        #: Who came into a conversation and has not written since: a gateway may remember the stranger for 2 s.
        self.untold: set[tuple[str, str]] = set()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self.runner.run(work)
        except BaseException:
            self.failed = True
            raise

    # --- choosing ---------------------------------------------------------------------------------

    def device_of(self, name: str) -> Device:
        return next(device for device in self.devices if device.user == self.user[name])

    def pick(self, number: int) -> Talk:
        return self.talks[number % len(self.talks)]

    @property
    def sent(self) -> list[Outgoing]:
        return [outgoing for device in self.devices for outgoing in device.sent.values()]

    @property
    def changed(self) -> list[Outgoing]:
        return [outgoing for device in self.devices for outgoing in device.changed.values()]

    # --- beginning --------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.run(self._begin())

    async def _begin(self) -> None:
        for device in self.devices:
            await device.connect()
        await self._create("ann", "dm", ["bob"])
        await self._create("ann", "group", ["bob", "cat"])
        await self._create("bob", "group", ["dan"])

    async def _create(self, owner: str, kind: str, others: Sequence[str]) -> None:
        body = {"type": kind, "members": [self.user[name] for name in others]}
        answer = await self.device_of(owner).rest.call("POST", "conversations", body)
        members = {owner, *others}
        told = ("created", frozenset(self.user[name] for name in members))
        self.talks.append(Talk(answer["id"], owner, kind == "group", members, [told], set(PEOPLE) - members))

    # --- messages ---------------------------------------------------------------------------------

    @rule(number=devices, talk=index, count=st.integers(1, 4), wait=st.booleans())
    def send(self, number: int, talk: int, count: int, wait: bool) -> None:
        self.run(self._send(self.devices[number], self.pick(talk), count, acks=count if wait else 0))

    async def _send(self, device: Device, talk: Talk, count: int, *, acks: int) -> None:
        """Write some messages at once, and wait until ``acks`` of them are answered."""
        name = self.name[device.user]
        written = []
        for _ in range(count):
            self.bodies += 1
            written.append(await device.send(talk.conv, f"message {self.bodies} of {name}"))
        if device.connected:
            await device.settled(*written[:acks])
        if any(it.acks for it in written):
            self.untold.discard((name, talk.conv))
        if name in talk.members and (name, talk.conv) not in self.untold:
            assert [it.refusal for it in written if it.refusal] == []

    @rule(which=index, elsewhere=st.booleans())
    @precondition(lambda self: self.sent)
    def resend(self, which: int, elsewhere: bool) -> None:
        """Send something again under its ``msg_id``: on the same device, or on another of the same person."""
        first = self.sent[which % len(self.sent)]
        its = [device for device in self.devices if device.user == first.sender]
        holders = [device for device in its if first.msg_id in device.sent]
        others = [device for device in its if device not in holders]
        self.run(self._resend((others or holders)[0] if elsewhere else holders[0], first))

    async def _resend(self, device: Device, first: Outgoing) -> None:
        mine = device.sent.get(first.msg_id)
        before = 0 if mine is None else len(mine.acks)
        if mine is None:
            mine = await device.send(first.conv, first.body, msg_id=first.msg_id)
        else:
            await device.resend(mine)
        if device.connected:
            await device.until(lambda: len(mine.acks) > before or mine.refusal is not None)

    @rule(number=devices, talk=index, which=index, wait=st.booleans())
    def edit(self, number: int, talk: int, which: int, wait: bool) -> None:
        """Edit a text that the device shows as its user's own."""
        self.bodies += 1
        self._change(number, talk, which, wait, own=True, op="edit", body=f"edit {self.bodies}")

    @rule(number=devices, talk=index, which=index, wait=st.booleans())
    def delete(self, number: int, talk: int, which: int, wait: bool) -> None:
        """Delete a text: one's own, or, as the owner of a group, any."""
        owns = self.pick(talk).group and self.user[self.pick(talk).owner] == self.devices[number].user
        self._change(number, talk, which, wait, own=not owns, op="delete")

    @rule(number=devices, talk=index, which=index, wait=st.booleans(), emoji=st.sampled_from("👍🎉"), on=st.booleans())
    def react(self, number: int, talk: int, which: int, wait: bool, emoji: str, on: bool) -> None:
        self._change(number, talk, which, wait, own=False, op="react", emoji=emoji, on=on)

    def _change(self, number: int, talk: int, which: int, wait: bool, *, own: bool, op: str, **said: Any) -> None:
        device, it = self.devices[number], self.pick(talk)
        texts = [
            message
            for message in device.timeline(it.conv).shown
            if message.kind == "text" and not message.deleted and (message.sender == device.user or not own)
        ]
        if texts and self.name[device.user] in it.members:
            self.run(self._write_change(device, texts[which % len(texts)], wait, op, **said))

    async def _write_change(self, device: Device, target: Message, wait: bool, op: str, **said: Any) -> None:
        change = await device.change(op, target, **said)
        if wait and device.connected:
            await device.settled(change)

    @rule(which=index)
    @precondition(lambda self: self.changed)
    def change_again(self, which: int) -> None:
        """Write a change again under its ``msg_id``, whatever has become of its message since."""
        first = self.changed[which % len(self.changed)]
        holder = next(device for device in self.devices if first.msg_id in device.changed)
        if holder.connected and first.acks and first.refusal is None:
            self.run(self._change_again(holder, first))

    async def _change_again(self, device: Device, change: Outgoing) -> None:
        before = len(change.acks)
        await device.resend(change)
        await device.until(lambda: len(change.acks) > before or change.refusal is not None)

    @rule(number=devices, talk=index, which=index, over_rest=st.booleans())
    def read(self, number: int, talk: int, which: int, over_rest: bool) -> None:
        device, it = self.devices[number], self.pick(talk)
        shown = device.timeline(it.conv).shown
        if shown and self.name[device.user] in it.members:
            self.run(self._read(device, it, shown[which % len(shown)].server_id, over_rest=over_rest))

    async def _read(self, device: Device, talk: Talk, mark: str, *, over_rest: bool) -> None:
        place = (self.name[device.user], talk.conv)
        self.marks_asked.setdefault(place, set()).add(mark)
        if not over_rest:
            await device.tell("read", server_id=mark)
            return
        # What was shown in an earlier stay is not there any more.
        allowed = contextlib.suppress(Refused) if place[0] in talk.outside else contextlib.nullcontext()
        with allowed:
            answer = await device.rest.call("PUT", f"conversations/{talk.conv}/read", {"server_id": mark})
            self.mark_confirmed[place] = answer["server_id"]

    @rule(talk=index, k=st.sampled_from([1, 2, 3, MAX_HOT_K]))
    def spread(self, talk: int, k: int) -> None:
        """Spread a conversation, or gather it again, while it is in use."""
        it = self.pick(talk)
        it.hot = it.hot or k > 1
        self.run(self.system.spread(it.conv, k))

    # --- coming and going -------------------------------------------------------------------------

    @property
    def addable(self) -> list[tuple[Talk, str]]:
        return [(it, name) for it in self.talks if it.group for name in sorted(PEOPLE) if name not in it.members]

    @property
    def removable(self) -> list[tuple[Talk, str]]:
        return [(it, name) for it in self.talks if it.group for name in sorted(it.members) if name != it.owner]

    @rule(which=index)
    @precondition(lambda self: self.addable)
    def add(self, which: int) -> None:
        self.run(self._add(*self.addable[which % len(self.addable)]))

    async def _add(self, talk: Talk, name: str) -> None:
        members = {"members": [self.user[name]]}
        answer = await self.device_of(talk.owner).rest.call("POST", f"conversations/{talk.conv}/members", members)
        assert answer["added"] == [self.user[name]]
        talk.members.add(name)
        talk.events.append(("member_added", frozenset({self.user[name]})))
        self.untold.add((name, talk.conv))

    @rule(which=index)
    @precondition(lambda self: self.removable)
    def remove(self, which: int) -> None:
        self.run(self._remove(*self.removable[which % len(self.removable)], leaves=False))

    @rule(which=index)
    @precondition(lambda self: self.removable)
    def leave(self, which: int) -> None:
        self.run(self._remove(*self.removable[which % len(self.removable)], leaves=True))

    async def _remove(self, talk: Talk, name: str, *, leaves: bool) -> None:
        actor = self.device_of(name if leaves else talk.owner)
        await actor.rest.call("DELETE", f"conversations/{talk.conv}/members/{self.user[name]}")
        talk.members.remove(name)
        talk.outside.add(name)
        talk.events.append(("member_left" if leaves else "member_removed", frozenset({self.user[name]})))

    @rule(pair=st.sampled_from(sorted(combinations(sorted(PEOPLE), 2))))
    def meet(self, pair: tuple[str, str]) -> None:
        """Begin a direct conversation of two who have none."""
        if not any(not talk.group and talk.members == set(pair) for talk in self.talks):
            self.run(self._create(pair[0], "dm", [pair[1]]))

    # --- connections and crashes ------------------------------------------------------------------

    @rule(number=devices)
    def drop(self, number: int) -> None:
        self.run(self.devices[number].drop())

    @rule(number=devices)
    def connect(self, number: int) -> None:
        self.run(self.devices[number].connect())

    @rule(what=st.sampled_from(Part), number=devices, talk=index, count=st.integers(0, 5), acks=st.integers(0, 5))
    def crash(self, what: Part, number: int, talk: int, count: int, acks: int) -> None:
        """Crash a part in the middle of traffic: with ``count`` messages on their way, at the n-th ack."""
        self.run(self._crash(what, self.devices[number], self.pick(talk), count, min(acks, count)))

    async def _crash(self, what: Part, device: Device, talk: Talk, count: int, acks: int) -> None:
        await self._send(device, talk, count, acks=acks)
        match what:
            case Part.ALL:
                await self.system.crash(router=not self.held)
            case Part.ALL_AND_HOLD_ROUTER:
                await self.system.crash(router=False)
            case Part.ROUTER:
                await self.system.hold_router()
            case Part.FIRST_GATEWAY:
                await self.system.crash_gateway(0)
            case Part.SECOND_GATEWAY:
                await self.system.crash_gateway(1)
        self.held = self.held or what in (Part.ALL_AND_HOLD_ROUTER, Part.ROUTER)

    @rule()
    @precondition(lambda self: self.held)
    def release_router(self) -> None:
        self.run(self.system.release_router())
        self.held = False

    # --- what holds at any time -------------------------------------------------------------------

    @invariant()
    def every_copy_of_a_message_was_acked_with_the_same_id(self) -> None:
        if self.system.acks_agree:
            ids: dict[tuple[str, str], set[str]] = {}
            # A copy may be in another sub-partition than the first; then a later ack, or the message, corrects it.
            hot = {talk.conv for talk in self.talks if talk.hot}
            for outgoing in [it for it in [*self.sent, *self.changed] if it.conv not in hot]:
                ids.setdefault((outgoing.conv, outgoing.msg_id), set()).update(ack.server_id for ack in outgoing.acks)
            assert [it for it in ids.values() if len(it) > 1] == []

    @invariant()
    def devices_show_one_order(self) -> None:
        for talk in self.talks:
            lists = [[it.server_id for it in device.timeline(talk.conv).shown] for device in self.devices]
            for one, other in combinations(lists, 2):
                common = set(one) & set(other)
                assert [it for it in one if it in common] == [it for it in other if it in common]
            assert all(len(set(shown)) == len(shown) for shown in lists)

    @invariant()
    def strangers_receive_nothing(self) -> None:
        for talk in self.talks:
            known = {user for _, users in talk.events for user in users}
            for device in self.devices:
                assert device.user in known or not any(it.message.conv == talk.conv for it in device.arrivals)

    # --- coming to rest ---------------------------------------------------------------------------

    @rule()
    def rest(self) -> None:
        """Let everybody come back and everything arrive."""
        self.run(self._rest())

    async def _rest(self) -> None:
        await self.system.release_router()
        self.held = False
        for device in self.devices:
            if not device.connected:
                await device.connect()
        for device in self.devices:
            await device.settled(*device.outbox)
        await self.system.caught_up()

    def teardown(self) -> None:
        self.run(self._end())

    async def _end(self) -> None:
        try:
            if self.talks and not self.failed:
                await self._rest()
                await self._judge()
        finally:
            for device in self.devices:
                await device.close()

    async def _judge(self) -> None:
        """Hold everything that was written down to what was promised."""
        histories = {talk.conv: await self._history(talk) for talk in self.talks}
        for talk in self.talks:
            await self._arrived(talk, histories[talk.conv])
        views = [
            replace(view, whole=self.name[view.user] in talk.members)
            for talk in self.talks
            for view in views_of(self.devices, [talk.conv])
        ]
        excused = frozenset().union(*(self._excused(histories[talk.conv]) for talk in self.talks))
        told = {server_id: change for device in self.devices for server_id, change in device.changes.items()}
        moderators = {talk.conv: {self.user[talk.owner]} for talk in self.talks if talk.group}
        evidence = Evidence(
            self.sent, histories, views, excused, changed=self.changed, told=told, moderators=moderators
        )
        assert violations(evidence) == []
        for talk in self.talks:
            self._judge_gaps(talk, histories[talk.conv])
            self._judge_refusals(talk)
        for device in self.devices:
            for backfilled in device.backfills:
                self._judge_backfill(device, backfilled, histories[backfilled.conv])
            self._judge_receipts(device, histories)
        for name in PEOPLE:
            await self._judge_inbox(name, histories)

    async def _history(self, talk: Talk) -> list[Message]:
        """Return the whole history, as its owner reads it; the others read what their stay shows of it."""
        history = await self.device_of(talk.owner).rest.history(talk.conv)
        assert [(it.event, frozenset(it.users)) for it in history if it.kind == "event"] == talk.events
        of_user = stays(history)
        for name in talk.members - {talk.owner}:
            assert await self.device_of(name).rest.history(talk.conv) == of_user[self.user[name]][-1]
        for name in {name for it, name in self.addable if it is talk}:
            with pytest.raises(Refused, match="404"):
                await self.device_of(name).rest.history(talk.conv)
        return history

    async def _arrived(self, talk: Talk, history: Sequence[Message]) -> None:
        """Wait for what has to come by itself. Who is a member no more has to ask."""
        for device in self.devices:
            if self.name[device.user] in talk.members:
                timeline, stay = device.timeline(talk.conv), stays(history)[device.user][-1]
                with contextlib.suppress(TimeoutError):
                    await device.until(lambda t=timeline, s=stay: set(s) <= set(t.shown))  # type: ignore[misc]
            else:
                await device.sync()
            await device.repaired()

    def _excused(self, history: Sequence[Message]) -> set[str]:
        """Return acked ids at whose place in the log the author was no member: the router drops these."""
        spans: dict[str, list[tuple[int, int]]] = {}
        for user, its in stays(history).items():
            for stay in its:
                ended = stay[-1].event in ("member_left", "member_removed") and user in stay[-1].users
                last = parse_server_id(stay[-1].server_id)[1] if ended else MAX_ID
                spans.setdefault(user, []).append((parse_server_id(stay[0].server_id)[1], last))
        conv = history[0].conv
        written = [*self.sent, *self.changed]
        acked = {(it.sender, ack.server_id) for it in written if it.conv == conv for ack in it.acks}
        return {
            server_id
            for sender, server_id in acked
            if not any(first < parse_server_id(server_id)[1] < last for first, last in spans.get(sender, ()))
        }

    def _judge_gaps(self, talk: Talk, history: Sequence[Message]) -> None:
        """Nothing is missing within a stay that goes on; of one that ended a device has what it got in time."""
        of_user = stays(history)
        for device in self.devices:
            timeline = device.timeline(talk.conv)
            assert timeline.gap is None
            if self.name[device.user] in talk.members:
                later = {message.server_id for message in of_user[device.user][-1][1:]}
                assert later.isdisjoint(timeline.beginnings)

    def _judge_refusals(self, talk: Talk) -> None:
        """Nobody is refused who was a member all the time."""
        refused = {self.name[it.sender] for it in self.sent if it.conv == talk.conv and it.refusal is not None}
        assert refused <= talk.outside

    def _judge_backfill(self, device: Device, it: Backfilled, history: Sequence[Message]) -> None:
        """All messages up to the newest of then, from 5 s before the mark on; of that, the newest where it is too much.

        The changes are a part of the chain without a hole.
        """
        parts = parts_of(it.mark)
        chains = {chain_of(message.server_id) for message in it.messages}
        for chain in chains:
            ids = [message.server_id for message in it.messages if chain_of(message.server_id) == chain]
            stay = next(
                stay for stay in stays(history)[device.user] if ids[-1] in {message.server_id for message in stay}
            )
            its = [message for message in stay if chain_of(message.server_id) == chain]
            since = 0
            if chain in parts:
                since = timestamp_ms(parse_server_id(parts[chain])[1]) - REPLAY_MARGIN_MS
            until = [message.server_id for message in its].index(ids[-1])
            due = [message.server_id for message in its[: until + 1] if message.ts >= since]
            # Of several chains the newest of all are left.
            most = self.system.max_backfill if len(chains) == 1 else len(ids) if it.more else len(due)
            assert ids == due[-most:]
            if len(chains) == 1:
                assert it.more == (len(due) > most)
        rows = sorted([*it.messages, *it.changes], key=lambda row: order_of(row.server_id))
        if not it.more and not it.stale:
            for chain in {chain_of(row.server_id) for row in rows}:
                of_chain = [row for row in rows if chain_of(row.server_id) == chain]
                assert all(after.prev == before.server_id for before, after in pairwise(of_chain))

    def _judge_receipts(self, device: Device, histories: Mapping[str, Sequence[Message]]) -> None:
        """Receipts tell authors of others' devices, and members of others' marks."""
        sender = {message.server_id: message.sender for history in histories.values() for message in history}
        for frame in device.others:
            if frame["op"] == "delivered":
                assert sender[frame["server_id"]] == device.user != frame["user"]
            elif frame["op"] == "read":
                conv = conversation_ref(parse_server_id(frame["server_id"])[0])
                assert device.user in stays(histories[conv])
                assert frame["server_id"] in self.marks_asked[self.name[frame["user"]], conv]

    async def _judge_inbox(self, name: str, histories: Mapping[str, Sequence[Message]]) -> None:
        user = self.user[name]
        found = {it["id"]: it for it in await self.device_of(name).rest.conversations()}
        assert set(found) == {talk.conv for talk in self.talks if name in talk.members}
        for conv, conversation in found.items():
            order = [None, *(message.server_id for message in histories[conv])]
            mark = conversation["last_read"]
            assert mark in {None, *self.marks_asked.get((name, conv), ())}
            assert order.index(mark) >= order.index(self.mark_confirmed.get((name, conv)))
            read = set(order[: order.index(mark) + 1])
            unread = [
                message
                for message in stays(histories[conv])[user][-1]
                if message.kind == "text" and message.sender != user and message.server_id not in read
            ]
            assert conversation["unread_count"] == min(UNREAD_CAP, len(unread))
