"""One device of one user: connects, comes back, sends again, drops copies, repairs gaps (docs/protocol.md).

::

    send ──▶ outbox ──frames──▶ server ──frames──▶ timelines ──▶ messages()
              ▲  │                                    │  ▲
              │  └── acks, errors                     │  └── sync, REST history: what was missed
              └────────────── store ◀── marks ────────┘

All of it belongs to one event loop. Whoever wants to see more than ``messages`` shows overrides the ``on_…`` methods,
which do nothing here and must not block.
"""

import asyncio
import contextlib
import json
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from .errors import ChatError, Refused, SignedOut, Unreachable
from .rest import Rest
from .store import Store
from .timeline import CHANGES, Change, Message, Row, Timeline, chain_of, order_of, parts_of

#: Refusals that pass; any other answer to a send is final.
PASSING: Final = frozenset({"rate_limited", "unavailable", "internal"})
#: Settled sends whose answer may yet be corrected (see ``ack`` in docs/protocol.md).
_REMEMBERED: Final = 1_000
#: Messages that ``messages`` has not taken; then nothing more is read from the socket.
_MAX_UNTAKEN: Final = 10_000
#: Of a page of history.
_PAGE: Final = 200

Frame = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a client behaves; the defaults are what docs/protocol.md asks for. Times in seconds."""

    #: Without an answer for so long a send is written again.
    resend_s: float = 3.0
    #: Reconnecting: a random part of ``base * 2 ** attempt``, at most ``cap``.
    backoff_base_s: float = 0.5
    backoff_cap_s: float = 30.0
    #: How long a server may take to answer before the connection counts as dead.
    patience_s: float = 30.0
    #: In place of what ``ready`` states.
    heartbeat_s: float | None = None
    #: Messages of each conversation that are kept in memory, the newest; None: all.
    keep: int | None = 1_000


@dataclass(frozen=True, slots=True)
class Written:
    """A ``send`` left on a connection, which this names, at a time of ``time.monotonic``."""

    connection: str
    at: float


@dataclass(frozen=True, slots=True)
class Acked:
    """An ``ack`` came, at a time of ``time.monotonic``."""

    server_id: str
    at: float


@dataclass(slots=True)
class Outgoing:
    """One message that a device wrote, or, with a ``target``, one change; and what became of it."""

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
    #: Further fields of a ``send`` or ``edit``: ``media``, ``reply_to``, ``forwarded_from``, ``mentions``.
    more: Mapping[str, Any] = field(default_factory=dict)

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
        """What goes out, without its ``op``."""
        match self.op:
            case "edit":
                said: Frame = {"server_id": self.target, "body": self.body}
            case "delete":
                said = {"server_id": self.target}
            case "react":
                said = {"server_id": self.target, "emoji": self.emoji, "on": self.on}
            case _:
                said = {"conv": self.conv, "body": self.body}
        return {"msg_id": self.msg_id, **said, **self.more}

    @property
    def saved(self) -> dict[str, Any]:
        """What a ``Store`` keeps of it."""
        names = ("msg_id", "conv", "body", "op", "target", "emoji", "on")
        return {name: getattr(self, name) for name in names} | {"more": dict(self.more)}


class Client:
    """One device. ``async with`` keeps it connected; or ``connect`` and ``drop`` it by hand, then ``close`` it."""

    def __init__(
        self,
        servers: Sequence[str],
        token: str,
        *,
        user: str = "",
        name: str = "client",
        store: Store | None = None,
        settings: Settings = Settings(),  # frozen
        random: Random | None = None,
    ) -> None:
        """``servers``: addresses as ``https://host``. ``user``: whose token it is; ``ready`` says it too."""
        self.user = user
        self.name = name
        self.token = token
        self.rest = Rest(servers, token, random=random)
        #: What it holds, by conversation.
        self.timelines: dict[str, Timeline] = {}
        #: The close code after which it does not come back.
        self.signed_out: int | None = None
        self._servers = servers
        self._random = random or Random()
        self._settings = settings
        self._store = store
        self._outbox: dict[str, Outgoing] = {}
        self._settled: OrderedDict[str, Outgoing] = OrderedDict()
        self._socket: ClientConnection | None = None
        self._ready: Frame | None = None
        self._server: str | None = None
        self._connections = 0
        self._up = False
        self._running: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._repairs: dict[str, asyncio.Task[None]] = {}
        #: Conversations whose history it has to read again.
        self._outdated: set[str] = set()
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()
        self._syncing = asyncio.Lock()
        #: The marks of the last sync, and how many were answered.
        self._asked: Mapping[str, str] = {}
        self._synced = 0
        #: For how long it was told to wait before the next one, in seconds.
        self._wait_s = 0.0
        #: When the next sync is due.
        self._beat = 0.0
        #: Messages to be reported as delivered, each from a monotonic time on.
        self._owed: list[tuple[float, str]] = []
        #: For ``messages``; None while nobody has asked.
        self._untaken: deque[Message] | None = None
        #: Of each conversation and chain, the newest message that was taken there.
        self._taken: dict[str, dict[int, str]] = {}
        if store is not None:
            self._recall(store)

    def _recall(self, store: Store) -> None:
        self._untaken = deque()
        for conv, mark in store.marks().items():
            self._taken[conv] = parts_of(mark)
            self.timelines[conv] = Timeline(mark, keep=self._settings.keep)
        for saved in store.outbox():
            self._track(Outgoing(sender=self.user, **saved))

    # --- for those who want to see more ---------------------------------------------------------------

    def on_attempt(self, server: str) -> None:
        """It tries to connect there."""

    def on_up(self) -> None:
        """It is connected, has got what it missed, and sent its outbox."""

    def on_down(self, end: int | str | None) -> None:
        """The connection is gone, or did not come up: the close code, or what kept it."""

    def on_postponed(self, outgoing: Outgoing, code: str) -> None:
        """A send was refused for now, and will be tried again."""

    def on_arrival(self, message: Message, via: str) -> None:
        """The first copy of a message came: ``live``, by ``backfill`` or over ``rest``."""

    def on_change(self, change: Change) -> None:
        """A change came; not for the first time, perhaps."""

    def on_backfill(self, frame: Frame, asked: str | None) -> None:
        """A ``backfill`` came. ``asked``: the mark that was named for its conversation."""

    def on_frame(self, frame: Frame) -> None:
        """Another frame came: receipts, hints, errors that answer no send."""

    # --- looking --------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether the connection is open and greeted, as far as the device knows."""
        return self._socket is not None and self._ready is not None

    @property
    def up(self) -> bool:
        """Whether it has also got what it missed: all that comes from here on comes live, or fills a gap."""
        return self.connected and self._up

    @property
    def outbox(self) -> list[Outgoing]:
        """What is neither acked nor refused, in the order of writing."""
        return list(self._outbox.values())

    @property
    def limits(self) -> Mapping[str, int]:
        """The limits that the server stated; empty before it did (docs/protocol.md, Limits)."""
        return self._ready.get("limits", {}) if self._ready is not None else {}

    def timeline(self, conv: str) -> Timeline:
        """Return what the device holds of a conversation."""
        return self.timelines.setdefault(conv, Timeline(keep=self._settings.keep))

    async def until(self, holds: Callable[[], bool], *, timeout_s: float | None = None) -> None:
        """Return once something holds; asks again after whatever happens to the device. Raises TimeoutError."""
        async with asyncio.timeout(self._settings.patience_s if timeout_s is None else timeout_s):
            while True:
                changed = self._changed
                if holds():
                    return
                await changed.wait()

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def messages(self) -> AsyncIterator[Message]:
        """Give every message once, in order in each conversation, one's own too; waits for more, through any outage.

        It begins with what comes after its first call, or, with a ``Store``, after the last message that was handled.
        A message counts as handled when the next one is asked for: after a crash in between it is given again. What
        changes it later is in ``timeline(conv)``.

        Raises:
            SignedOut: the server does not take this device any more.
        """
        if self._untaken is None:
            self._untaken = deque()
        while True:
            while self._untaken:
                message = self._untaken.popleft()
                yield message
                self._handled(message)
                self._change()
            changed = self._changed
            if self.signed_out is not None:
                raise SignedOut(self.signed_out)
            if not self._untaken:
                await changed.wait()

    def _handled(self, message: Message) -> None:
        self._keep_mark(message.conv, {chain_of(message.server_id): message.server_id})

    def _keep_mark(self, conv: str, parts: Mapping[int, str]) -> None:
        taken = self._taken.setdefault(conv, {})
        taken.update(parts)
        if self._store is not None:
            self._store.mark(conv, ",".join(taken[chain] for chain in sorted(taken)))

    # --- connecting -----------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self.run(), name=f"{self.name}-run")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Open a connection to one of the servers, get what was missed, and send the outbox again.

        Raises:
            Unreachable: there is no connection now; try again.
        """
        await self.drop()
        self.signed_out = None
        # Not again the one that was lost, where there is another.
        others = [server for server in self._servers if server != self._server]
        self._server = self._random.choice(others or self._servers)
        self._connections += 1
        self.on_attempt(self._server)
        try:
            await self._open(self._server)
        except Unreachable as error:
            self.on_down(str(error))
            await self.drop()
            raise
        self._up = True
        self.on_up()
        self._change()

    async def _open(self, server: str) -> None:
        # Taken before: what comes live ahead of the sync must not move them over what was missed.
        marks = self._marks()
        try:
            async with asyncio.timeout(self._settings.patience_s):
                self._socket = await connect(
                    f"ws{server.removeprefix('http')}/ws",
                    subprotocols=[Subprotocol("chat.v1.json")],
                    additional_headers={"Authorization": f"Bearer {self.token}"},
                    proxy=None,
                    ping_interval=None,
                    max_size=None,
                )
        except (OSError, InvalidHandshake, ConnectionClosed) as error:
            raise Unreachable(repr(error)) from error
        self._reader = asyncio.create_task(self._read(self._socket), name=f"{self.name}-read")
        await self._answer(lambda: self._ready is not None)
        if marks:
            await self._sync(marks)
        else:
            await self._load()
        for outgoing in self._outbox.values():
            outgoing.due = 0.0
        await self.flush()
        if not self.connected:
            # What was read over HTTP did not notice.
            raise Unreachable("the connection was lost")

    async def drop(self) -> None:
        """Be cut off: no close frame, nothing flushed; idempotent."""
        socket, self._socket, self._ready, self._up = self._socket, None, None, False
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
        """Go for good. What is in the outbox stays in the store, where there is one."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await self.drop()
        await self.rest.close()
        if self._store is not None:
            self._store.close()

    async def run(self) -> None:
        """Reconnect with back-off and full jitter, resend, keep the heart beating; until cancelled or signed out."""
        settings, attempt = self._settings, 0
        while True:
            with contextlib.suppress(Unreachable):
                await self.connect()
                attempt = 0
                await self._stay()
            await self.drop()
            if self.signed_out is not None:
                return
            longest_s = min(settings.backoff_cap_s, settings.backoff_base_s * 2**attempt)
            await asyncio.sleep(self._random.uniform(0, longest_s))
            attempt = min(attempt + 1, 30)

    async def _stay(self) -> None:
        """Use the connection until it is gone."""
        if self._ready is None:
            return
        every_s = self._settings.heartbeat_s or float(self._ready["heartbeat_s"])
        self._beat = time.monotonic() + every_s
        while True:
            changed = self._changed
            await self.flush()
            await self._report()
            if time.monotonic() >= self._beat:
                self._beat = time.monotonic() + every_s
                await self._sync(self._marks())
            if not self.connected:
                return
            due = [self._beat, *(it.due for it in self._outbox.values()), *(at for at, _ in self._owed)]
            wait_s = min(due) - time.monotonic()
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

    # --- writing --------------------------------------------------------------------------------------

    async def tell(self, op: str, **fields: Any) -> None:
        """Write a frame if there is a connection; it is not kept."""
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(json.dumps({"op": op, **fields}))

    async def send(self, conv: str, body: str, *, msg_id: str | None = None, **more: Any) -> Outgoing:
        """Put a message into the outbox, and write it where there is a connection.

        ``more``: further fields of the frame (``media``, ``reply_to``, ``forwarded_from``, ``mentions``). Once this
        returns the message survives what the store survives; ``accepted`` waits for the server.
        """
        return await self._enqueue(Outgoing(msg_id or str(uuid4()), conv, self.user, body, more=more))

    async def change(self, op: str, target: Message, **said: Any) -> Outgoing:
        """Put a change of a message into the outbox: ``edit`` (``body``), ``delete``, ``react`` (``emoji``, ``on``)."""
        return await self._enqueue(
            Outgoing(str(uuid4()), target.conv, self.user, op=op, target=target.server_id, **said)
        )

    async def _enqueue(self, outgoing: Outgoing) -> Outgoing:
        if self._store is not None:
            self._store.put(outgoing.msg_id, outgoing.saved)
        self._track(outgoing)
        await self.flush()
        return outgoing

    def _track(self, outgoing: Outgoing) -> None:
        self._outbox[outgoing.msg_id] = outgoing

    async def resend(self, outgoing: Outgoing) -> None:
        """Write a message of this device once more, also one that was acked or refused."""
        outgoing.refusal = None
        if not outgoing.settled:
            self._settled.pop(outgoing.msg_id, None)
            self._track(outgoing)
        if self.connected:
            await self._write(outgoing)

    async def settled(self, *outgoing: Outgoing, timeout_s: float | None = None) -> None:
        """Return once each of these is acked or refused (``refusal``). Raises TimeoutError."""
        await self.until(lambda: all(it.settled for it in outgoing), timeout_s=timeout_s)

    async def accepted(self, outgoing: Outgoing, *, timeout_s: float | None = None) -> str:
        """Return the ``server_id`` under which the server took it.

        Raises:
            Refused: it did not.
            TimeoutError: it has not answered; the outbox goes on.
        """
        await self.settled(outgoing, timeout_s=timeout_s)
        if outgoing.refusal is not None:
            raise Refused.by(outgoing.refusal)
        if outgoing.server_id is None:
            raise ChatError("settled without an id")
        return outgoing.server_id

    async def flush(self) -> None:
        """Write what is due of the outbox, in its order."""
        async with self._writing:
            for outgoing in list(self._outbox.values()):
                if self.connected and not outgoing.settled and outgoing.due <= time.monotonic():
                    await self._write(outgoing)

    async def _write(self, outgoing: Outgoing) -> None:
        now = time.monotonic()
        outgoing.due = now + self._settings.resend_s
        outgoing.written.append(Written(f"{self.name}/{self._connections}", now))
        await self.tell(outgoing.op, **outgoing.frame)

    def _settle(self, outgoing: Outgoing) -> None:
        """It is decided; a correction may follow."""
        self._outbox.pop(outgoing.msg_id, None)
        self._settled[outgoing.msg_id] = outgoing
        if len(self._settled) > _REMEMBERED:
            self._settled.popitem(last=False)
        if self._store is not None:
            self._store.drop(outgoing.msg_id)

    def _outgoing(self, msg_id: str | None) -> Outgoing | None:
        return self._outbox.get(msg_id or "") or self._settled.get(msg_id or "")

    # --- getting what was missed ----------------------------------------------------------------------

    def _marks(self) -> dict[str, str]:
        marks = [(conv, timeline.mark) for conv, timeline in self.timelines.items()]
        found = [(conv, mark) for conv, mark in marks if mark is not None]
        # Those without a mark are named by the server where they are newer than all of these.
        found.sort(key=lambda it: max(map(order_of, it[1].split(","))), reverse=True)
        return dict(found[: self.limits.get("max_sync_marks", 500)])

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
        # That is the past, not what comes.
        untaken, self._untaken = self._untaken, None
        try:
            for conversation in await self.rest.conversations():
                await self._read_again(conversation["id"])
        except Refused as error:
            raise Unreachable(str(error)) from error
        finally:
            self._untaken = untaken
        for conv, timeline in self.timelines.items():
            if timeline.mark is not None:
                self._keep_mark(conv, parts_of(timeline.mark))

    def _mend(self, conv: str) -> None:
        """Begin to repair a conversation's gap, where there is one and nobody is at it."""
        running = self._repairs.get(conv)
        broken = self.timeline(conv).gap is not None or conv in self._outdated
        if broken and self.connected and (running is None or running.done()):
            self._repairs[conv] = asyncio.create_task(self._repair(conv), name=f"{self.name}-repair")

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
                    self._show(timeline, timeline.begin_at(gap))
        self._change()

    async def repaired(self, *, timeout_s: float | None = None) -> None:
        """Return once no gap is being repaired. Raises TimeoutError."""
        await self.until(lambda: all(task.done() for task in self._repairs.values()), timeout_s=timeout_s)

    async def _read_again(self, conv: str) -> None:
        """Read back to the oldest message that is known, or to the beginning of what the user may see."""
        timeline = self.timeline(conv)
        oldest = timeline.oldest
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
            reached = oldest is not None and any(order_of(it.server_id) <= oldest for it in messages)
            if page["next"] is None or reached:
                break
            before = messages[0].server_id
        if messages and not any(timeline.shows(it.server_id) for it in messages):
            # Nothing before it is for this user.
            timeline.beginnings.append(messages[0].server_id)
        self._cover(conv, messages, (), mark, "rest")
        await self._report()

    # --- reading --------------------------------------------------------------------------------------

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for data in socket:
                self._on_frame(json.loads(data))
                self._change()
                await self._report()
                while self._untaken is not None and len(self._untaken) >= _MAX_UNTAKEN:
                    # The server is told by the socket, and in the end closes it: what is left comes by sync.
                    await self._changed.wait()
        except ConnectionClosed:
            pass
        finally:
            end = socket.close_code
            if end is not None and 4400 <= end < 4450:
                self.signed_out = end
            if self._socket is socket:
                self._socket = self._ready = None
                self._up = False
            self.on_down(end)
            self._change()

    def _on_frame(self, frame: Frame) -> None:
        match frame["op"]:
            case "ready":
                self._ready = frame
                self.user = frame["user"]
            case "msg":
                self._recognise([frame])
                self._take(Message.of(frame))
                self._mend(frame["conv"])
            case op if op in CHANGES:
                self._recognise([frame])
                self._take(Change.of(frame))
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
                    self._settle(mine)
                else:
                    self._on_refusal(mine, frame)
            case "error" if frame["code"] == "rate_limited" and self._syncing.locked():
                self._wait_s = frame.get("retry_after") or 1.0
            case _:
                self.on_frame(frame)

    def _on_refusal(self, outgoing: Outgoing, frame: Frame) -> None:
        if frame["code"] in PASSING:
            outgoing.due = time.monotonic() + max(0.2, frame.get("retry_after") or 1.0)
            self.on_postponed(outgoing, frame["code"])
        else:
            outgoing.refusal = frame
            self._settle(outgoing)

    def _on_backfill(self, frame: Frame) -> None:
        conv = frame["conv"]
        self._recognise([*frame["messages"], *frame.get("changes", ())])
        self.on_backfill(frame, self._asked.get(conv))
        if frame.get("expired_before"):
            self.timeline(conv).expire(frame["expired_before"])
        if frame.get("stale") or frame.get("more"):
            # There is a hole before this, or what is held may have changed.
            self._outdated.add(conv)
        else:
            messages = [Message.of(it) for it in frame["messages"]]
            changes = [Change.of(it) for it in frame.get("changes", ())]
            self._cover(conv, messages, changes, frame["mark"], "backfill")

    def _recognise(self, rows: Sequence[Frame]) -> None:
        """Note under which ids messages and changes of this device came back."""
        for row in rows:
            mine = self._outgoing(row.get("msg_id"))
            if mine is not None:
                mine.stored_as = row["server_id"]
                self._settle(mine)

    def _take(self, row: Row) -> None:
        timeline = self.timeline(row.conv)
        if isinstance(row, Change):
            self.on_change(row)
        elif not timeline.holds(row.server_id):
            self.on_arrival(row, "live")
        self._show(timeline, timeline.take(row))

    def _cover(
        self, conv: str, messages: Sequence[Message], changes: Sequence[Change], mark: str | None, via: str
    ) -> None:
        timeline = self.timeline(conv)
        for message in messages:
            if not timeline.holds(message.server_id):
                self.on_arrival(message, via)
        for change in changes:
            self.on_change(change)
        self._show(timeline, timeline.cover(messages, changes, mark))

    def _show(self, timeline: Timeline, messages: Sequence[Message]) -> None:
        now = time.monotonic()
        self._owed += [
            (now + self._random.uniform(0, it.spread_ms / 1000), it.server_id)
            for it in messages
            if it.sender != self.user
        ]
        if self._untaken is not None:
            self._untaken.extend(messages)
        timeline.trim()

    async def _report(self) -> None:
        """Tell that what is shown was delivered, where it is time: best effort, once."""
        now = time.monotonic()
        owed, self._owed = self._owed, [it for it in self._owed if it[0] > now]
        for due, server_id in owed:
            if due <= now:
                await self.tell("delivered", server_id=server_id)
