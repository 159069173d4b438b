"""A client of the protocol (docs/protocol.md), as a phone would run it, which writes down what happened to it.

It keeps an outbox, sends again, comes back, drops copies and repairs gaps. It takes a list of gateways and picks one
at each connect, however those were started. ``tests/history.py`` judges what it wrote down.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from tests.rest import Account, Refused, Rest, Unreachable
from tests.timeline import CHANGES, Change, Message, Row, Timeline

RESEND_S: Final = 3.0
BACKOFF_BASE_S: Final = 0.5
BACKOFF_CAP_S: Final = 30.0
#: How long a gateway may take to answer before the connection counts as dead.
PATIENCE_S: Final = 30.0
#: Refusals that pass; any other answer to a send is final.
PASSING: Final = frozenset({"rate_limited", "unavailable", "internal"})
#: Messages of a page of history.
_PAGE: Final = 200

Frame = dict[str, Any]


# --- what is written down; times are of time.monotonic() ------------------------------------------


@dataclass(slots=True)
class Attempt:
    """A try to connect to ``gateway``: what came of it, and when."""

    gateway: str
    at: float
    #: Greeted, synced and the outbox sent again; None where it did not come so far.
    up_at: float | None = None
    lost_at: float | None = None
    #: The close code, or what kept it from coming up.
    end: int | str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A ``send`` left, on a connection that this names among those of all devices."""

    connection: str
    at: float


@dataclass(frozen=True, slots=True)
class Acked:
    """An ``ack`` came."""

    server_id: str
    at: float


@dataclass(slots=True)
class Outgoing:
    """One message that a device wrote, or, with a ``target``, one change."""

    msg_id: str
    conv: str
    sender: str
    body: str = ""
    written: list[Written] = field(default_factory=list)
    acks: list[Acked] = field(default_factory=list)
    #: Its id in the conversation, once it came back.
    stored_as: str | None = None
    #: The error that refused it for good; it may come after an ack.
    refusal: Frame | None = None
    #: When it goes out (again).
    due: float = 0.0
    op: str = "send"
    target: str = ""
    emoji: str = ""
    on: bool = False

    @property
    def settled(self) -> bool:
        """Whether it need not be sent again."""
        return bool(self.acks) or self.stored_as is not None or self.refusal is not None

    @property
    def server_id(self) -> str | None:
        """Its id as a message, or the one in the last ack: an ack that corrects another may be lost on the way."""
        return self.stored_as or (self.acks[-1].server_id if self.acks else None)

    @property
    def frame(self) -> Frame:
        """What goes out."""
        match self.op:
            case "edit":
                said: Frame = {"server_id": self.target, "body": self.body}
            case "delete":
                said = {"server_id": self.target}
            case "react":
                said = {"server_id": self.target, "emoji": self.emoji, "on": self.on}
            case _:
                said = {"conv": self.conv, "body": self.body}
        return {"msg_id": self.msg_id, **said}


@dataclass(frozen=True, slots=True)
class Arrival:
    """The first copy of a message came, after the n-th attempt. ``via``: ``live``, ``backfill`` or ``rest``."""

    message: Message
    via: str
    attempt: int
    at: float


@dataclass(frozen=True, slots=True)
class Backfilled:
    """A ``backfill`` came. ``mark``: what the device had named for the conversation, if it had."""

    conv: str
    mark: str | None
    messages: tuple[Message, ...]
    more: bool
    changes: tuple[Change, ...]
    stale: bool


# --- the device -----------------------------------------------------------------------------------


class Device:
    """One device of one user, on one event loop. ``connect`` and ``drop`` move it by hand; ``run`` does it all.

    ``close`` it in the end; what it wrote down stays.
    """

    def __init__(
        self,
        gateways: Sequence[str],
        account: Account,
        *,
        name: str,
        random: Random | None = None,
        heartbeat_s: float | None = None,
        backoff_cap_s: float = BACKOFF_CAP_S,
    ) -> None:
        """``gateways``: addresses as ``host:port``. ``heartbeat_s``: in place of the one that ``ready`` states."""
        self.user = account.user
        self.name = name
        self.rest = Rest(gateways, account.token, random=random)
        #: What it holds, by conversation.
        self.timelines: dict[str, Timeline] = {}
        #: Everything it ever wrote, by ``msg_id``, in order.
        self.sent: dict[str, Outgoing] = {}
        #: Every change it ever made, likewise.
        self.changed: dict[str, Outgoing] = {}
        #: Every change it was ever told, by ``server_id``.
        self.changes: dict[str, Change] = {}
        #: Conversations whose history it has to read again.
        self._outdated: set[str] = set()
        self.arrivals: list[Arrival] = []
        self.backfills: list[Backfilled] = []
        #: Frames of other kinds, in order: receipts, hints, errors.
        self.others: list[Frame] = []
        #: Refusals of sends that pass, each at its time: codes.
        self.postponed: list[tuple[float, str]] = []
        #: Every try to connect; the last is the present connection, where there is one.
        self.attempts: list[Attempt] = []
        self._gateways = gateways
        self.token = account.token
        self._random = random or Random()
        self._heartbeat_s = heartbeat_s
        self._backoff_cap_s = backoff_cap_s
        self._socket: ClientConnection | None = None
        self._ready: Frame | None = None
        self._reader: asyncio.Task[None] | None = None
        self._repairs: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()
        self._syncing = asyncio.Lock()
        #: The marks of the last sync, and how many were answered.
        self._asked: Mapping[str, str] = {}
        self._synced = 0
        #: For how long it was told to wait before the next one.
        self._wait_s = 0.0
        #: When the next sync is due.
        self._beat = 0.0
        #: Messages to be reported as delivered.
        self._owed: list[str] = []

    # --- looking ----------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether the connection is open and greeted, as far as the device knows."""
        return self._socket is not None and self._ready is not None

    @property
    def up(self) -> bool:
        """Whether it has also got what it missed: all that comes from here on comes live, or fills a gap."""
        return self.connected and self.attempts[-1].up_at is not None

    @property
    def outbox(self) -> list[Outgoing]:
        """What is neither acked nor refused, in the order of writing."""
        return [it for its in (self.sent, self.changed) for it in its.values() if not it.settled]

    def timeline(self, conv: str) -> Timeline:
        """Return what the device holds of a conversation."""
        return self.timelines.setdefault(conv, Timeline())

    async def until(self, holds: Callable[[], bool], *, timeout_s: float = PATIENCE_S) -> None:
        """Return once something holds; asks again after whatever happens to the device. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while True:
                changed = self._changed
                if holds():
                    return
                await changed.wait()

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # --- connecting -------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Open a connection to one of the gateways, get what was missed, and send the outbox again.

        Raises:
            Unreachable: there is no connection now; try again.
        """
        await self.drop()
        # Not again the one that was lost, where there is another.
        last = self.attempts[-1].gateway if self.attempts else None
        others = [gateway for gateway in self._gateways if gateway != last]
        attempt = Attempt(self._random.choice(others or self._gateways), time.monotonic())
        self.attempts.append(attempt)
        try:
            await self._open(attempt.gateway)
            attempt.up_at = time.monotonic()
            self._change()
        except Unreachable as error:
            attempt.end = attempt.end or str(error)
            await self.drop()
            raise

    async def _open(self, gateway: str) -> None:
        # Taken before: what comes live ahead of the sync must not move them over what was missed.
        marks = self._marks()
        try:
            async with asyncio.timeout(PATIENCE_S):
                self._socket = await connect(
                    f"ws://{gateway}/ws",
                    subprotocols=[Subprotocol("chat.v1.json")],
                    additional_headers={"Authorization": f"Bearer {self.token}"},
                    proxy=None,
                    ping_interval=None,
                    max_size=None,
                )
        except (OSError, InvalidHandshake, ConnectionClosed) as error:
            raise Unreachable(repr(error)) from error
        self._reader = asyncio.create_task(self._read(self._socket, self.attempts[-1]), name=f"device-{self.name}")
        await self._answer(lambda: self._ready is not None)
        if marks:
            await self._sync(marks)
        else:
            await self._load()
        for outgoing in self.outbox:
            outgoing.due = 0.0
        await self.flush()
        if not self.connected:
            # What was read over HTTP did not notice.
            raise Unreachable("the connection was lost")

    async def drop(self) -> None:
        """Be cut off: no close frame, nothing flushed; idempotent."""
        socket, self._socket, self._ready = self._socket, None, None
        tasks = [task for task in (self._reader, *self._repairs.values()) if task is not None]
        self._reader, self._repairs = None, {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if socket is not None:
            socket.transport.abort()
            await socket.wait_closed()
        self._change()

    async def close(self) -> None:
        """Go for good."""
        await self.drop()
        await self.rest.close()

    async def run(self) -> None:
        """Reconnect with back-off and full jitter, resend, keep the heart beating; until cancelled or signed out."""
        attempt = 0
        while True:
            with contextlib.suppress(Unreachable):
                await self.connect()
                attempt = 0
                await self._stay()
            await self.drop()
            end = self.attempts[-1].end
            if isinstance(end, int) and 4400 <= end < 4450:
                return
            await asyncio.sleep(self._random.uniform(0, min(self._backoff_cap_s, BACKOFF_BASE_S * 2**attempt)))
            attempt += 1

    async def _stay(self) -> None:
        """Use the connection until it is gone."""
        assert self._ready is not None
        every_s = self._heartbeat_s or float(self._ready["heartbeat_s"])
        self._beat = time.monotonic() + every_s
        while True:
            changed = self._changed
            await self.flush()
            if time.monotonic() >= self._beat:
                self._beat = time.monotonic() + every_s
                await self._sync(self._marks())
            if not self.connected:
                return
            wait_s = min([self._beat, *(it.due for it in self.outbox)]) - time.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, wait_s)):
                    await changed.wait()

    async def _answer(self, came: Callable[[], bool]) -> None:
        """Wait for an answer. Raises Unreachable where it stays away or the connection is lost."""
        try:
            await self.until(lambda: came() or self._socket is None)
        except TimeoutError:
            raise Unreachable("no answer") from None
        if self._socket is None:
            raise Unreachable("the connection was lost")

    # --- writing ----------------------------------------------------------------------------------

    async def tell(self, op: str, **fields: Any) -> None:
        """Write a frame if there is a connection; it is not kept."""
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(json.dumps({"op": op, **fields}))

    async def send(self, conv: str, body: str, *, msg_id: str | None = None) -> Outgoing:
        """Put a message into the outbox, and write it where there is a connection."""
        outgoing = Outgoing(msg_id or str(uuid4()), conv, self.user, body)
        self.sent[outgoing.msg_id] = outgoing
        await self.flush()
        return outgoing

    async def change(self, op: str, target: Message, **said: Any) -> Outgoing:
        """Put a change of a message into the outbox, and write it where there is a connection."""
        outgoing = Outgoing(str(uuid4()), target.conv, self.user, op=op, target=target.server_id, **said)
        self.changed[outgoing.msg_id] = outgoing
        await self.flush()
        return outgoing

    async def resend(self, outgoing: Outgoing) -> None:
        """Write a message of this device once more, also one that was acked or refused."""
        outgoing.refusal = None
        if self.connected:
            await self._write(outgoing)

    async def settled(self, *outgoing: Outgoing, timeout_s: float = PATIENCE_S) -> None:
        """Return once each of these is acked or refused. Raises TimeoutError."""
        await self.until(lambda: all(it.settled for it in outgoing), timeout_s=timeout_s)

    async def flush(self) -> None:
        """Write what is due of the outbox, in its order."""
        async with self._writing:
            for outgoing in self.outbox:
                if self.connected and outgoing.due <= time.monotonic():
                    await self._write(outgoing)

    async def _write(self, outgoing: Outgoing) -> None:
        now = time.monotonic()
        outgoing.due = now + RESEND_S
        outgoing.written.append(Written(f"{self.name}/{len(self.attempts)}", now))
        await self.tell(outgoing.op, **outgoing.frame)

    # --- getting what was missed ------------------------------------------------------------------

    def _marks(self) -> dict[str, str]:
        marks = {conv: timeline.mark for conv, timeline in self.timelines.items()}
        return {conv: mark for conv, mark in marks.items() if mark is not None}

    async def sync(self) -> None:
        """Ask for all that is newer than what is held, and return when it has come. Raises Unreachable."""
        await self._sync(self._marks())

    async def _sync(self, marks: Mapping[str, str]) -> None:
        async with self._syncing:
            self._asked = marks
            before = self._synced
            while self._synced == before:
                self._wait_s = 0.0
                await self.tell("sync", marks=dict(marks))
                await self._answer(lambda: self._synced > before or self._wait_s > 0.0)
                await asyncio.sleep(self._wait_s)
        for conv in list(self.timelines):
            self._mend(conv)

    async def _load(self) -> None:
        """Read everything over REST, as a device does that holds nothing."""
        try:
            for conversation in await self.rest.conversations():
                await self._read_again(conversation["id"])
        except Refused as error:
            raise Unreachable(str(error)) from error

    def _mend(self, conv: str) -> None:
        """Begin to repair a conversation's gap, where there is one and nobody is at it."""
        running = self._repairs.get(conv)
        broken = self.timeline(conv).gap is not None or conv in self._outdated
        if broken and self.connected and (running is None or running.done()):
            self._repairs[conv] = asyncio.create_task(self._repair(conv), name=f"repair-{self.name}")

    async def _repair(self, conv: str) -> None:
        timeline = self.timeline(conv)
        with contextlib.suppress(Unreachable):
            if timeline.mark is not None and conv not in self._outdated:
                await self._sync({conv: timeline.mark})
            while (gap := timeline.gap) is not None or conv in self._outdated:
                try:
                    await self._read_again(conv)
                except Refused as refused:
                    if refused.status != 404:
                        return
                    self._outdated.discard(conv)
                if gap is not None and timeline.gap == gap:
                    # No longer a member, or the chain does not hold: this is all there is.
                    self._show(timeline.begin_at(gap))
        self._change()

    async def repaired(self, *, timeout_s: float = PATIENCE_S) -> None:
        """Return once no gap is being repaired. Raises TimeoutError."""
        await self.until(lambda: all(task.done() for task in self._repairs.values()), timeout_s=timeout_s)

    async def _read_again(self, conv: str) -> None:
        """Read back to the oldest message that is shown, or to the beginning of what the user may see."""
        timeline = self.timeline(conv)
        oldest = timeline.shown[0].server_id if timeline.shown else None
        self._outdated.discard(conv)
        messages: list[Message] = []
        mark: str | None = None
        before: str | None = None
        while True:
            page = await self.rest.call("GET", f"conversations/{conv}/messages", before=before, limit=_PAGE)
            # The first page's: the others were read later, and are as new at least.
            mark = page["mark"] if before is None else mark
            self._recognise(page["results"])
            messages = [*(Message.of(it) for it in reversed(page["results"])), *messages]
            if page["next"] is None or any(it.server_id == oldest for it in messages):
                break
            before = messages[0].server_id
        if messages and not any(timeline.shows(it.server_id) for it in messages):
            # Nothing before it is for this user.
            timeline.beginnings.append(messages[0].server_id)
        self._cover(conv, messages, (), mark, "rest")
        await self._report()

    # --- reading ----------------------------------------------------------------------------------

    async def _read(self, socket: ClientConnection, attempt: Attempt) -> None:
        try:
            async for data in socket:
                self._on_frame(json.loads(data))
                self._change()
                await self._report()
        except ConnectionClosed:
            pass
        finally:
            attempt.lost_at, attempt.end = time.monotonic(), socket.close_code
            if self._socket is socket:
                self._socket = self._ready = None
            self._change()

    def _on_frame(self, frame: Frame) -> None:
        match frame["op"]:
            case "ready":
                self._ready = frame
            case "msg":
                self._recognise([frame])
                self._take(Message.of(frame), "live")
                self._mend(frame["conv"])
            case op if op in CHANGES:
                self._recognise([frame])
                self._take(Change.of(frame), "live")
                self._mend(frame["conv"])
            case "backfill":
                self._on_backfill(frame)
            case "synced":
                self._synced += 1
            case "resync":
                self._beat = 0.0
            case "ack" | "error" if (mine := self._outgoing(frame.get("msg_id"))) is not None:
                if frame["op"] == "ack":
                    mine.acks.append(Acked(frame["server_id"], time.monotonic()))
                else:
                    self._on_refusal(mine, frame)
            case "error" if frame["code"] == "rate_limited" and self._syncing.locked():
                self._wait_s = frame["retry_after"]
            case _:
                self.others.append(frame)

    def _outgoing(self, msg_id: str | None) -> Outgoing | None:
        return self.sent.get(msg_id or "") or self.changed.get(msg_id or "")

    def _on_refusal(self, outgoing: Outgoing, frame: Frame) -> None:
        if frame["code"] in PASSING:
            self.postponed.append((time.monotonic(), frame["code"]))
            outgoing.due = time.monotonic() + max(0.2, frame.get("retry_after") or 1.0)
        else:
            outgoing.refusal = frame

    def _on_backfill(self, frame: Frame) -> None:
        conv = frame["conv"]
        messages = tuple(Message.of(it) for it in frame["messages"])
        changes = tuple(Change.of(it) for it in frame.get("changes", ()))
        self._recognise([*frame["messages"], *frame.get("changes", ())])
        more, stale = bool(frame.get("more")), bool(frame.get("stale"))
        self.backfills.append(Backfilled(conv, self._asked.get(conv), messages, more, changes, stale))
        if stale or more:
            # There is a hole before this, or what is held may have changed.
            self._outdated.add(conv)
        else:
            self._cover(conv, messages, changes, frame["mark"], "backfill")

    def _recognise(self, rows: Sequence[Frame]) -> None:
        """Note under which ids messages and changes of this device came back."""
        for row in rows:
            mine = self._outgoing(row.get("msg_id"))
            if mine is not None:
                mine.stored_as = row["server_id"]

    def _take(self, row: Row, via: str) -> None:
        timeline = self.timeline(row.conv)
        if isinstance(row, Change):
            self.changes[row.server_id] = row
        elif not timeline.holds(row.server_id):
            self.arrivals.append(Arrival(row, via, len(self.attempts), time.monotonic()))
        self._show(timeline.take(row))

    def _cover(
        self, conv: str, messages: Sequence[Message], changes: Sequence[Change], mark: str | None, via: str
    ) -> None:
        timeline = self.timeline(conv)
        for message in messages:
            if not timeline.holds(message.server_id):
                self.arrivals.append(Arrival(message, via, len(self.attempts), time.monotonic()))
        self.changes.update((it.server_id, it) for it in changes)
        self._show(timeline.cover(messages, changes, mark))

    def _show(self, messages: Sequence[Message]) -> None:
        self._owed += [it.server_id for it in messages if it.sender != self.user]

    async def _report(self) -> None:
        """Tell that what is shown was delivered: best effort, once."""
        owed, self._owed = self._owed, []
        for server_id in owed:
            await self.tell("delivered", server_id=server_id)
