"""One gateway pod: its connections, its one listener, its timers and its end (design sections 1 and 6)."""

import asyncio
import contextlib
import logging
import math
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from math import ceil, inf
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError
from prometheus_client import Counter, Gauge

from accounts.models import Device
from accounts.selectors.credentials import devices_for_tokens, still_signed_in
from messaging.batching import Batcher
from messaging.domain import frames
from messaging.domain.authors import Authors
from messaging.domain.buckets import TimerWheel
from messaging.domain.connection import Close, State
from messaging.domain.errors import ChatError, CloseCode, Unauthenticated
from messaging.domain.events import (
    Deliver,
    InvalidateBlocks,
    InvalidateConversation,
    PodEvent,
    Poison,
    PresenceChanged,
    RevokeDevices,
    decode_batch,
)
from messaging.domain.ids import (
    ConversationId,
    DeviceId,
    UserId,
    conversation_ref,
    device_ref,
    parse_conversation,
    parse_server_id,
    user_ref,
)
from messaging.domain.limits import Limits
from messaging.endings import end
from messaging.gateway.access import AccessCache
from messaging.gateway.deadlines import Deadlines
from messaging.gateway.hub import Hub
from messaging.gateway.outbox import Encoded
from messaging.gateway.presence import LOOK_S, PresenceTracker
from messaging.gateway.receipts import ReceiptBuffer
from messaging.gateway.tails import Tails, Trail
from messaging.ports import BatchesLost, Clock, ConnectionRegistry, MessageLog, PodBus, RegistryUnavailable
from messaging.services.fanout import fan_out
from messaging.threads import DatabaseThreads

if TYPE_CHECKING:
    from messaging.gateway.consumer import Socket

logger = logging.getLogger(__name__)

LISTENER_RESTARTS = Counter("chat_listener_restarts_total", "Times the pod's listener failed and was started again.")
CONNECTIONS = Gauge("chat_connections", "Sockets of this pod, by state: anonymous (nobody's yet) or open.", ["state"])
RESYNCS = Counter(
    "chat_resyncs_total", "Sockets that were asked to sync, as batches for them may have been lost in an outage."
)
_ANONYMOUS, _OPEN = CONNECTIONS.labels("anonymous"), CONNECTIONS.labels("open")
TYPING_DROPPED = Counter(
    "chat_typing_dropped_total",
    "Typing hints dropped: too many of one user (rate), or the pod was behind (full).",
    ["reason"],
)

_TICK_S = 1.0
_HEARTBEAT_S = 10.0
#: After one that failed: once the registry is back, nobody is found before the next.
_HEARTBEAT_RETRY_S = 2.0
#: Without a word of it an outage of the bus or the registry is over: longer than the pauses between their tries.
_QUIET_S = 3.0
#: Sockets asked to sync per second; more, where all could not be asked within a heartbeat, in which each syncs anyway.
_RESYNC_RATE = 200
_RESYNC_TURN_S = 0.1
#: Who is watched is repeated over so many heartbeats, well within ``WATCH_TTL_S``.
_WATCH_TURNS = 5
_REGISTER_BATCH = 1_000
_RECHECK_BATCH = 500
#: Sockets closed per second while draining: 50,000 leave in about a minute, ten at once.
_DRAIN_RATE = 800
_MAX_DRAIN_S = 60.0
_LAST_CLOSE_S = 3.0


def _find_devices(tokens: Sequence[str]) -> dict[str, Device | ChatError]:
    found = devices_for_tokens(tokens)
    return {token: found.get(token) or Unauthenticated("the token is not valid") for token in tokens}


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        """Return Unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return a monotonic time in seconds."""
        return time.monotonic()


class Pod:
    """What the sockets of one process share. Created and used on one event loop."""

    def __init__(
        self,
        *,
        name: str,
        limits: Limits,
        log: MessageLog,
        registry: ConnectionRegistry,
        bus: PodBus,
        database: DatabaseThreads,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.limits = limits
        self.log = log
        self.registry = registry
        self.bus = bus
        self.database = database
        self.clock = clock or SystemClock()
        self.draining = False
        self.deadlines = Deadlines(log, deadline_s=limits.delivery_deadline_s, now=self.clock.monotonic)
        self.hub = Hub(limits=limits, deadlines=self.deadlines)
        self.access = AccessCache(database)
        self.tails = Tails(database)
        self.trail = Trail()
        self.tokens: Batcher[str, Device] = Batcher(database, _find_devices)
        #: Of what was delivered here; the receipts that answer it carry them, so that no router has to look.
        self._authors = Authors()
        self.receipts = ReceiptBuffer(log, pod=name, now_ms=self.now_ms, authors=self._authors)
        self.presence = PresenceTracker(
            pod=name,
            hub=self.hub,
            registry=registry,
            bus=bus,
            database=database,
            grace_s=limits.presence_grace_s,
        )
        self._wheel: TimerWheel[Socket] = TimerWheel(tick_s=_TICK_S, now=self.clock.monotonic())
        self._left: TimerWheel[UserId] = TimerWheel(tick_s=_TICK_S, now=self.clock.monotonic())
        #: Users who left, and when (monotonic) their grace ends.
        self._in_grace: dict[UserId, float] = {}
        #: Sockets that are open but nobody's yet.
        self._anonymous: set[Socket] = set()
        self._typing: asyncio.Queue[Deliver] = asyncio.Queue(maxsize=2_000)
        self._fresh: list[tuple[UserId, str]] = []
        self._stale: list[tuple[UserId, str]] = []
        self._registry_changed = asyncio.Event()
        #: Set by whatever may have lost batches for this pod: neither side of the bus repeats them.
        self._lost = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._short: set[asyncio.Task[None]] = set()
        self._emptied = asyncio.Event()

    def now_ms(self) -> int:
        """Return Unix time in milliseconds."""
        return int(self.clock.time() * 1000)

    # --- life -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the log and start the pod's loops; idempotent."""
        if self._tasks:
            return
        await self.log.start()
        loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "listener": self._listen,
            "timers": self._tick,
            "registry": self._update_registry,
            "heartbeat": self._heartbeat,
            "catch-up": self._catch_up,
            "receipts": self.receipts.run,
            "deadlines": self.deadlines.run,
            "typing": self._send_typing,
            "presence": self.presence.run,
            "whereabouts": self._look_after_watched,
            "credentials": self._recheck_devices,
        }
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._supervise(name, run), name=f"pod-{name}") for name, run in loops.items()]

    async def _supervise(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a loop for ever; when it fails, say so and start it again after a moment."""
        while True:
            try:
                await run()
            except Exception:
                logger.exception("the pod's %s failed; it starts again", name)
                LISTENER_RESTARTS.inc()
                await asyncio.sleep(0.2)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run short background work that the pod owns: it is awaited or cancelled when the pod stops."""
        task = asyncio.get_running_loop().create_task(self._guard(work))
        self._short.add(task)
        task.add_done_callback(self._short.discard)

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            logger.exception("background work of the pod failed")

    async def drain(self) -> None:
        """Send every client away in jittered waves (1012), as fast as ``_DRAIN_RATE`` and within a minute."""
        self.draining = True
        sockets = list(self.hub.all_sockets())
        window_s = min(_MAX_DRAIN_S, len(sockets) / _DRAIN_RATE)
        logger.info("draining %d connections over %.1f s", len(sockets), window_s)
        for socket in sockets:
            socket.put(frames.Drain(after_ms=int(window_s * 1000)))
        random.shuffle(sockets)
        loop = asyncio.get_running_loop()
        started = loop.time()
        for index, socket in enumerate(sockets):
            due = started + window_s * index / len(sockets)
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            socket.close(CloseCode.SERVICE_RESTART, "server restarts; reconnect")
        for socket in list(self._anonymous):
            socket.close(CloseCode.SERVICE_RESTART, "server restarts; reconnect")
        if not self.hub.is_empty() or self._anonymous:
            self._emptied.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_CLOSE_S):
                    await self._emptied.wait()

    async def stop(self) -> None:
        """Flush what waits, take the pod out of the registry and end its loops."""
        await end([*self._tasks, *self._short])
        self._tasks = []
        await self.receipts.flush()
        await self.deadlines.flush()
        entries = [(socket.connection.user, socket.conn) for socket in self.hub.all_sockets()]
        try:
            async with asyncio.timeout(2.0):
                await self.registry.unregister(self.name, [*entries, *self._stale])
        except (TimeoutError, RegistryUnavailable):
            logger.warning("the registry keeps this pod's entries until they expire")

    # --- sockets ----------------------------------------------------------------------------------

    def opened(self, socket: "Socket") -> None:
        """Watch a new socket's authentication deadline."""
        self._anonymous.add(socket)
        _ANONYMOUS.set(len(self._anonymous))
        self._wheel.schedule(socket, at=socket.connection.deadline())

    async def authenticated(self, socket: "Socket", *, user: UserId, device: DeviceId, is_bot: bool = False) -> None:
        """Admit a socket: greet it, then count it as connected."""
        now = self.clock.monotonic()
        allowance = self.hub.allowance_of(user, now, is_bot=is_bot)
        socket.connection.authenticated(user=user, device=device, allowance=allowance, now=now)
        if socket.connection.state is not State.OPEN:
            # Closed while its credentials were looked up; nobody would ever take it out of the registry.
            return
        self._anonymous.discard(socket)
        _ANONYMOUS.set(len(self._anonymous))
        first = self.hub.add(socket, allowance)
        _OPEN.set(self.hub.size)
        self._fresh.append((user, socket.conn))
        # In the registry before ``ready``: whoever is greeted also receives.
        await self._flush_registry()
        limits = self.limits
        socket.put(
            frames.Ready(
                conn=socket.conn,
                user=user_ref(user),
                device=device_ref(device),
                heartbeat_s=limits.heartbeat_s,
                ts=self.now_ms(),
                limits=frames.ServerLimits(
                    max_body_bytes=limits.max_body_bytes,
                    max_media_refs=limits.max_media_refs,
                    max_frame_bytes=limits.max_frame_bytes,
                    max_sync_marks=limits.max_sync_marks,
                    max_presence_users=limits.max_presence_users,
                    max_members=limits.max_members,
                    max_mentions=limits.max_mentions,
                    edit_window_s=limits.edit_window_s,
                    max_media_bytes=limits.max_media_bytes,
                ),
            )
        )
        if first and self._in_grace.pop(user, None) is None:
            self.spawn(self.presence.came(user))

    def gone(self, socket: "Socket") -> None:
        """Forget a socket that is closed."""
        self._anonymous.discard(socket)
        user = socket.connection.user
        last = self.hub.remove(socket)
        _ANONYMOUS.set(len(self._anonymous))
        _OPEN.set(self.hub.size)
        if self.hub.is_empty() and not self._anonymous:
            self._emptied.set()
        if user == 0:
            return
        self._stale.append((user, socket.conn))
        self._registry_changed.set()
        if socket.watching:
            self.spawn(self.presence.forget(socket))
        if last and not self.draining:
            now = self.clock.monotonic()
            self._in_grace[user] = now + self.limits.presence_grace_s
            self._left.schedule(user, at=self._in_grace[user])

    # --- loops --------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        while True:
            try:
                payload = await self.bus.receive(self.name)
            except BatchesLost:
                self._lost.set()
                continue
            try:
                batch = decode_batch(payload)
            except Poison:
                logger.exception("a batch could not be decoded; its clients are asked to sync")
                self._lost.set()
                continue
            try:
                for event in batch.events:
                    await self._handle(event)
            except Exception:
                self._lost.set()
                raise
            # A large batch must not keep the readers waiting for the next one, too.
            await asyncio.sleep(0)

    async def _handle(self, event: PodEvent) -> None:
        match event:
            case Deliver():
                if isinstance(event.frame, frames.Conv):
                    self.access.invalidate(parse_conversation(event.frame.conv))
                    if event.frame.change == "removed":
                        for user in event.users:
                            self.spawn(self.presence.recheck(user))
                elif isinstance(event.frame, frames.Msg) and event.author is not None:
                    self._authors.remember([(*parse_server_id(event.frame.server_id), event.author)])
                if isinstance(event.frame, frames.Msg | frames.Change):
                    self.trail.writes(event.frame, event.users, now=self.clock.monotonic())
                await self.hub.deliver(event)
            case PresenceChanged():
                self.presence.tell_local(event)
                if event.state == "offline" and self.hub.is_here(event.user):
                    # Who is here and looks offline has hidden, and sees nobody either.
                    self.spawn(self.presence.recheck(event.user))
            case RevokeDevices():
                for socket in self.hub.sockets_of(event.user):
                    if not event.devices or socket.connection.device in event.devices:
                        socket.close(event.code, event.reason)
            case InvalidateConversation():
                self.access.invalidate(event.conversation)
            case InvalidateBlocks():
                self.access.invalidate_pair(event.user, event.other)
                self.spawn(self.presence.part(event.user, event.other))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            now = self.clock.monotonic()
            for socket in self._wheel.advance(now):
                for effect in socket.connection.tick(now):
                    if isinstance(effect, Close):
                        socket.close(effect.code, effect.reason)
                if socket.connection.state is not State.CLOSED:
                    self._wheel.schedule(socket, at=socket.connection.deadline())
            # Someone who came back and left again since has a later end, and is here once for each time.
            gone = {user for user in self._left.advance(now) if self._in_grace.get(user, math.inf) <= now}
            for user in gone:
                del self._in_grace[user]
            if gone:
                self.spawn(self.presence.went(list(gone), self.now_ms()))

    async def _update_registry(self) -> None:
        while True:
            await self._registry_changed.wait()
            self._registry_changed.clear()
            await self._flush_registry()

    async def _flush_registry(self) -> None:
        fresh, self._fresh = self._fresh, []
        stale, self._stale = self._stale, []
        try:
            if stale:
                await self.registry.unregister(self.name, stale)
            if fresh:
                await self.registry.register(self.name, fresh)
        except RegistryUnavailable:
            # The heartbeat registers everybody again once the registry is back; who left lapses. It also says so in
            # the log: here a line for each of thousands who reconnect would follow.
            self._lost.set()

    async def _heartbeat(self) -> None:
        turn = 0
        while True:
            try:
                await self.registry.heartbeat(self.name)
                await self._register_again(turn)
                turn = (turn + 1) % _WATCH_TURNS
                pause_s = _HEARTBEAT_S
            except RegistryUnavailable as error:
                logger.warning("registry unavailable, heartbeat missed: %s", error)
                self._lost.set()
                pause_s = _HEARTBEAT_RETRY_S
            await asyncio.sleep(pause_s)

    async def _look_after_watched(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(LOOK_S)
            await self.presence.look(turn, now=self.clock.monotonic(), now_ms=self.now_ms())
            turn += 1

    async def _catch_up(self) -> None:
        """After an outage of the bus or the registry, have everybody ask for what may have been lost meanwhile.

        Without it, a socket would hear of the last message of a conversation with its own next heartbeat.
        """
        while True:
            await self._lost.wait()
            while self._lost.is_set():
                self._lost.clear()
                await asyncio.sleep(_QUIET_S)
            try:
                # What comes from here on finds its way.
                await self.registry.heartbeat(self.name)
                await self._register_again(None)
            except RegistryUnavailable:
                self._lost.set()
                continue
            await self._ask_to_sync()

    async def _ask_to_sync(self) -> None:
        """Ask all sockets for a ``sync``, in any order, spread so that it at most doubles the syncs of a large pod."""
        self.trail.clear()
        sockets = list(self.hub.all_sockets())
        random.shuffle(sockets)
        logger.info("batches may have been lost: %d connections are asked to sync", len(sockets))
        rate = max(_RESYNC_RATE, ceil(len(sockets) / self.limits.heartbeat_s))
        at_once = ceil(rate * _RESYNC_TURN_S)
        frame = Encoded(frames.Resync())
        for start in range(0, len(sockets), at_once):
            for socket in sockets[start : start + at_once]:
                socket.asked_all = -inf
                socket.outbox.put(frame)
            RESYNCS.inc(len(sockets[start : start + at_once]))
            await asyncio.sleep(_RESYNC_TURN_S)

    async def _register_again(self, turn: int | None) -> None:
        """Repeat what the registry should know of this pod: it may have lost it, and forgets what nobody repeats.

        ``turn``: the share of those who are watched; None: all.
        """
        entries = [(socket.connection.user, socket.conn) for socket in self.hub.all_sockets()]
        for start in range(0, len(entries), _REGISTER_BATCH):
            await self.registry.register(self.name, entries[start : start + _REGISTER_BATCH])
            await asyncio.sleep(0)
        watched = [user for user in self.presence.watched() if turn is None or user % _WATCH_TURNS == turn]
        for start in range(0, len(watched), _REGISTER_BATCH):
            await self.registry.watch(self.name, watched[start : start + _REGISTER_BATCH])
            await asyncio.sleep(0)

    async def _recheck_devices(self) -> None:
        """Close the sockets of devices that are signed out: the word of it may be lost, and a token expires untold."""
        while True:
            await asyncio.sleep(self.limits.recheck_s)
            by_device: dict[DeviceId, list[Socket]] = {}
            for socket in self.hub.all_sockets():
                by_device.setdefault(socket.connection.device, []).append(socket)
            devices = list(by_device)
            for start in range(0, len(devices), _RECHECK_BATCH):
                asked = devices[start : start + _RECHECK_BATCH]
                try:
                    valid = await self.database.run(still_signed_in, asked)
                except DatabaseError as error:
                    logger.warning("credentials cannot be checked now: %s", type(error).__name__)
                    break
                for device in asked:
                    if device not in valid:
                        for socket in by_device[device]:
                            socket.close(CloseCode.UNAUTHENTICATED, "signed out")

    # --- typing ---------------------------------------------------------------------------------------

    async def show_typing(self, socket: "Socket", conversation: ConversationId) -> None:
        """Tell the other members of a DM or small group; a large group shows no typing."""
        user = socket.connection.user
        now = self.clock.monotonic()
        try:
            room = self.access.cached(user, conversation, now)
            if room is None:
                room = await self.access.require(user, conversation, now)
        except ChatError as error:
            if error.code == "blocked":
                return
            raise
        if not room.others:
            return
        frame = frames.TypingEvent(conversation_ref(conversation), user_ref(user))
        try:
            self._typing.put_nowait(Deliver(list(room.others), frame, ephemeral=True))
        except asyncio.QueueFull:
            TYPING_DROPPED.labels("full").inc()

    async def _send_typing(self) -> None:
        while True:
            batch = [await self._typing.get()]
            while len(batch) < 100 and not self._typing.empty():
                batch.append(self._typing.get_nowait())
            await fan_out(batch, registry=self.registry, bus=self.bus)
