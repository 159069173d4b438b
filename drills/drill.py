"""What a drill is, what it has at hand, and what it reports."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from clients.python.chat_client.timeline import Message
from drills.engines import Engines
from tests.client import Device, Outgoing
from tests.history import may_change, violations
from tests.process.full_stack import FullStack
from tests.process.town import SENDERS, Town, everything_arrived, history_of

#: Between two messages of one person.
_EVERY_S: Final = 0.5
#: Of what is written, edits, deletions and reactions; to so many of the newest messages.
_CHANGES: Final = 0.25
_LATELY: Final = 20
#: Of changes of what others wrote, those that only its author may make, or a group's owner.
_TRESPASS: Final = 0.1
#: For outboxes to drain after the worst of outages: clients back off for some seconds, producers for two.
_DRAIN_S: Final = 60.0


@dataclass(slots=True)
class Report:
    """What happened, what was measured, and what was held against the mark."""

    drill: str
    breaks: str
    mark: str
    #: Seconds since the beginning, and what happened then.
    events: list[tuple[float, str]] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    checks: list[tuple[str, bool]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def passed(self) -> bool:
        """Whether there was something to check, and all of it held."""
        return bool(self.checks) and all(held for _, held in self.checks)

    def say(self, what: str) -> None:
        """Note what happens now."""
        self.events.append((round(time.monotonic() - self.began, 1), what))

    def figure(self, name: str, value: float) -> None:
        """Note a measurement; its name ends with its unit."""
        self.figures[name] = round(value, 3)

    def check(self, sentence: str, held: bool) -> None:
        """Note whether something held that the mark asks for."""
        self.checks.append((sentence, held))

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON knows it."""
        return {
            "drill": self.drill,
            "breaks": self.breaks,
            "mark": self.mark,
            "passed": self.passed,
            "checks": [{"sentence": sentence, "held": held} for sentence, held in self.checks],
            "figures": self.figures,
            "events": [{"at_s": at, "what": what} for at, what in self.events],
        }

    def __str__(self) -> str:
        lines = [f"{self.drill}: {self.breaks}", f"  mark: {self.mark}"]
        lines += [f"  {at:6.1f} s  {what}" for at, what in self.events]
        lines += [f"  {value:8g}  {name}" for name, value in self.figures.items()]
        lines += [f"  {'held  ' if held else 'BROKEN'}  {sentence}" for sentence, held in self.checks]
        return "\n".join([*lines, f"{'PASS' if self.passed else 'FAIL'}  {self.drill}"])


@dataclass(slots=True)
class Scene:
    """A running installation with people in it, and the report to be written."""

    stack: FullStack
    engines: Engines
    town: Town
    random: Random
    #: How long what can be longer or shorter lasts, like an outage.
    seconds: float
    report: Report
    _joined: list[asyncio.Task[None]] = field(default_factory=list)

    async def newcomer(
        self, name: str, *, gateways: Sequence[str] | None = None, heartbeat_s: float = 5.0
    ) -> tuple[Device, str]:
        """Make somebody with a device, not connected yet, and a conversation with the first person of the town."""
        made = await asyncio.to_thread(self.stack.people, {f"{name}{self.random.getrandbits(32):x}": 1})
        account = next(iter(made.values()))[0]
        device = Device(
            gateways or self.stack.gateways,
            account,
            name=name,
            random=Random(self.random.random()),
            heartbeat_s=heartbeat_s,
            backoff_cap_s=4.0,
        )
        first = self.town.devices[0]
        conv = (await first.rest.call("POST", "conversations", {"type": "dm", "members": [account.user]}))["id"]
        self.town.members[conv] = [first.user, account.user]
        return device, conv

    def join(self, device: Device) -> None:
        """Let a device of somebody new look after itself from here on, and be judged with the town's."""
        self.town.devices.append(device)
        self._joined.append(asyncio.create_task(device.run()))

    async def leave(self) -> None:
        """End those that joined."""
        for task in self._joined:
            task.cancel()
        await asyncio.gather(*self._joined, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def traffic(self, *, pipelined: bool = True) -> AsyncIterator[None]:
        """Let everybody talk within, once all are up; then wait until all has arrived, and have it judged.

        ``pipelined``: as in ``Evidence``.
        """
        for device in self.town.devices:
            await device.until(lambda device=device: device.up)  # type: ignore[misc]
        stopping = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for device in self.town.devices[:SENDERS]:
                group.create_task(self._talk(device, Random(self.random.random()), stopping))
            try:
                yield
            finally:
                stopping.set()
        await self._judge(pipelined=pipelined)

    async def _talk(self, device: Device, random: Random, stopping: asyncio.Event) -> None:
        """Write something every half second, whatever has become of what was written before."""
        mine = [conv for conv, users in self.town.members.items() if device.user in users]
        number = len(device.sent)
        while not stopping.is_set():
            conv = random.choice(mine)
            targets = [it for it in device.timeline(conv).shown[-_LATELY:] if it.kind == "text" and not it.deleted]
            if targets and random.random() < _CHANGES:
                await self._change(device, random, random.choice(targets))
            else:
                await device.send(conv, f"{device.name} {number}")
                number += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), random.uniform(0, 2 * _EVERY_S))

    async def _change(self, device: Device, random: Random, target: Message) -> None:
        """React to a message, edit or delete it; now and then somebody else's, which only some may."""
        op = "react"
        if target.sender == device.user or random.random() < _TRESPASS:
            op = random.choice(("edit", "edit", "delete"))
        match op:
            case "edit":
                await device.change("edit", target, body=f"{device.name}, edit {len(device.changed)}")
            case "delete":
                await device.change("delete", target)
            case _:
                await device.change("react", target, emoji=random.choice("👍🎉😀"), on=random.random() < 0.7)

    async def _judge(self, *, pipelined: bool) -> None:
        town, report = self.town, self.report
        began = time.monotonic()
        try:
            for device in town.devices:
                await device.settled(*device.outbox, timeout_s=_DRAIN_S)
            await everything_arrived(town)
        except (TimeoutError, AssertionError) as error:
            left = sum(len(device.outbox) for device in town.devices)
            report.check(f"everything arrives in the end: {left} without an ack; {error}"[:500], False)
            return
        report.say(f"all has arrived, {time.monotonic() - began:.1f} s after the last was written")
        report.figure("messages", len(town.sent))
        report.figure("edits, deletions and reactions", len(town.changed))
        history = {conv: await history_of(town, conv) for conv in town.members}
        refused = self._refused_for_good(history)
        for one in refused[:5]:
            report.say(f"refused: {one.op} of {one.target or one.body} by {one.sender}: {one.refusal}")
        report.check("nobody is refused for good who has the right", not refused)
        found = violations(town.evidence(history, pipelined=pipelined))
        for violation in found[:5]:
            report.say(f"the judge: {violation}")
        report.check(
            "every acked message is on every device of every member, once and in order, as its changes have left it, "
            "and nobody has another's",
            not found,
        )

    def _refused_for_good(self, history: Mapping[str, Sequence[Message]]) -> list[Outgoing]:
        """Return what was refused although its author may write it: any message, or a change of one that stands."""
        messages = {message.server_id: message for its in history.values() for message in its}
        moderators = self.town.moderators
        return [one for one in self.town.sent if one.refusal] + [
            one
            for one in self.town.changed
            if one.refusal
            and not messages[one.target].deleted
            and may_change(one, messages[one.target], moderators.get(one.conv, ()))
        ]

    # --- what the clients saw ---------------------------------------------------------------------

    async def pause(self, seconds: float) -> None:
        """Let the traffic go on for some time."""
        await asyncio.sleep(seconds)

    async def until(self, holds: Callable[[], bool], *, timeout_s: float = _DRAIN_S) -> bool:
        """Return whether something came to hold in time."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > deadline:
                return False
            # Many devices at once: no one event tells.
            await asyncio.sleep(0.05)
        return True

    async def harm(self, what: str, doing: Callable[..., object], *arguments: object) -> float:
        """Do something that blocks, and note it; return when it was done (time.monotonic())."""
        await asyncio.to_thread(doing, *arguments)
        self.report.say(what)
        return time.monotonic()

    def longest_absence(self, since: float) -> float:
        """Return the longest time (s) that a device was without a connection after ``since``."""
        return max((_longest_absence(device, since) for device in self.town.devices), default=0.0)

    def acked_between(self, begin: float, end: float) -> int:
        """Return how many messages were written and got their first ack within that time."""
        return sum(
            1 for one in self.town.sent if one.acks and one.written[0].at > begin and begin < one.acks[0].at < end
        )

    def ack_delays(self, begin: float, end: float) -> list[float]:
        """Return how long messages that were written within that time waited for their first ack (s)."""
        return [
            one.acks[0].at - one.written[0].at
            for one in self.town.sent
            if one.acks and one.written and begin < one.written[0].at < end
        ]

    def delivery_delays(self, begin: float, end: float) -> list[float]:
        """Return how long messages of that time took to others' devices, from being written (s)."""
        written = {one.server_id: one.written[0].at for one in self.town.sent if one.written}
        return [
            it.at - written[it.message.server_id]
            for device in self.town.devices
            for it in device.arrivals
            if it.message.server_id in written
            and it.message.sender != device.user
            and begin < written[it.message.server_id] < end
        ]

    def told(self, code: str, begin: float, end: float) -> int:
        """Return how many sends were answered with this error within that time, to be tried again."""
        return sum(1 for device in self.town.devices for at, it in device.postponed if it == code and begin < at < end)


def _longest_absence(device: Device, since: float) -> float:
    """Return the longest time after ``since`` between the loss of a connection and the next that came up."""
    longest, lost = 0.0, None
    for attempt in device.attempts:
        if attempt.up_at is not None and lost is not None:
            longest, lost = max(longest, attempt.up_at - lost), None
        if lost is None and attempt.lost_at is not None and attempt.lost_at > since:
            lost = attempt.lost_at
    return longest if lost is None else max(longest, time.monotonic() - lost)


def worst(delays: Iterable[float]) -> float:
    """Return the longest; 0 where there is none."""
    return max(delays, default=0.0)


def percentile(delays: Iterable[float], share: float) -> float:
    """Return what ``share`` of them do not exceed; 0 where there is none."""
    ordered = sorted(delays)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(frozen=True, slots=True)
class Drill:
    """One thing that is broken, and what must hold nevertheless."""

    name: str
    #: What fails: the row of the table in docs/drills.md.
    breaks: str
    #: What must hold.
    mark: str
    run: Callable[[Scene], Awaitable[None]]
    #: Of its outage, or whatever it does for some time.
    seconds: float
    #: The same in `make test`; None where it is left to `make drills`.
    short_s: float | None = None
    #: Engines, by name, that it harms: its own, and nobody else's.
    harms: frozenset[str] = frozenset()
    #: Kafka has three brokers.
    brokers: int = 1
