"""Who is online, told to those who watch (design section 6). Best effort, with a grace period for flapping phones."""

import asyncio
import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from prometheus_client import Counter

from messaging.domain.events import PresenceChanged
from messaging.domain.frames import PresenceState
from messaging.domain.ids import UserId, user_ref
from messaging.gateway.outbox import Encoded
from messaging.ports import ConnectionRegistry, PodBus, RegistryUnavailable, Whereabouts
from messaging.selectors import access, presence
from messaging.services.fanout import locate, send_batches
from messaging.services.presence import save_last_seen
from messaging.threads import DatabaseThreads

if TYPE_CHECKING:
    from messaging.gateway.consumer import Socket
    from messaging.gateway.hub import Hub

logger = logging.getLogger(__name__)

DROPPED = Counter("chat_presence_dropped_total", "Changes of presence dropped because the pod was behind.")

_MAX_WAITING: Final = 2_000
_MAX_BATCH: Final = 100
#: A pod looks after a share of whom it watches so often, and after all in so many turns.
LOOK_S: Final = 10.0
_LOOK_TURNS: Final = 3
_LOOK_BATCH: Final = 1_000
#: Who is missed for so long is away: a registry that has lost its memory is told everything again well within it.
_SETTLE_S: Final = 20.0


class PresenceTracker:
    """The pod's side of presence: local watchers, and the coming and going of local users."""

    def __init__(
        self,
        *,
        pod: str,
        hub: "Hub",
        registry: ConnectionRegistry,
        bus: PodBus,
        database: DatabaseThreads,
        grace_s: float,
    ) -> None:
        self._pod = pod
        self._grace_s = grace_s
        self._hub = hub
        self._registry = registry
        self._bus = bus
        self._database = database
        self._watchers: dict[UserId, set[Socket]] = defaultdict(set)
        #: Of those who are watched: who was told to be online, and of these who is missed, since when (monotonic, s).
        self._online: set[UserId] = set()
        self._missed: dict[UserId, float] = {}
        #: Changes on their way to the sockets here. Overflow rule: the newest are dropped.
        self._news: asyncio.Queue[PresenceChanged] = asyncio.Queue(maxsize=_MAX_WAITING)

    async def watch(self, socket: "Socket", users: frozenset[UserId]) -> None:
        """Replace the socket's subscription by those of ``users`` it may see, and report the state of all.

        Someone who hides looks the same as someone who is offline and was never seen.
        """
        viewer = socket.connection.user
        visible = await self._database.run(access.visible_presence, viewer, list(users))
        unwatched = self._unsubscribe(socket, socket.watching - visible)
        fresh = [user for user in visible if user not in self._watchers]
        for user in visible:
            self._watchers[user].add(socket)
        socket.watching = frozenset(visible)
        await self._unwatch(unwatched)
        try:
            await self._registry.watch(self._pod, fresh)
        except RegistryUnavailable:
            logger.warning("registry unavailable: presence of %d users is not watched", len(fresh))
        online = await locate(self._registry, list(visible))
        # What others here were told of those they watch already, they are told anew by ``look`` where it is wrong.
        for user in fresh:
            if user in online and user in self._watchers:
                self._note(user, is_online=True)
        away = [user for user in visible if user not in online]
        seen = await self._database.run(presence.last_seen_ms, away)
        for user in users:
            if user in online:
                socket.put(PresenceState(user_ref(user), "online"))
            else:
                socket.put(PresenceState(user_ref(user), "offline", seen.get(user)))

    def watched(self) -> list[UserId]:
        """Return whom sockets of this pod watch."""
        return list(self._watchers)

    def _unsubscribe(self, socket: "Socket", users: frozenset[UserId]) -> list[UserId]:
        """Let a socket watch these users no more; return those whom nobody here watches now."""
        unwatched = []
        for user in users:
            watchers = self._watchers.get(user)
            if watchers is not None:
                watchers.discard(socket)
                if not watchers:
                    del self._watchers[user]
                    self._note(user, is_online=False)
                    unwatched.append(user)
        socket.watching -= users
        return unwatched

    async def _unwatch(self, users: list[UserId]) -> None:
        if users:
            try:
                await self._registry.unwatch(self._pod, users)
            except RegistryUnavailable:
                logger.warning("registry unavailable: %d users stay watched until the pod's entry expires", len(users))

    async def forget(self, socket: "Socket") -> None:
        """Drop the subscription of a socket that is gone."""
        await self._unwatch(self._unsubscribe(socket, socket.watching))

    async def recheck(self, viewer: UserId) -> None:
        """Let those look offline to a viewer whom the viewer may no longer see, who has left a group or hides."""
        for socket in self._hub.sockets_of(viewer):
            watching = socket.watching
            visible = await self._database.run(access.visible_presence, viewer, watching) if watching else set()
            await self._lose(socket, (watching - visible) & socket.watching)

    async def part(self, one: UserId, other: UserId) -> None:
        """Let two people look offline to each other: a block stands between them."""
        for viewer, target in ((one, other), (other, one)):
            for socket in self._hub.sockets_of(viewer):
                await self._lose(socket, socket.watching & {target})

    async def _lose(self, socket: "Socket", users: frozenset[UserId]) -> None:
        for user in users:
            socket.put(PresenceState(user_ref(user), "offline"))
        await self._unwatch(self._unsubscribe(socket, users))

    def tell_local(self, event: PresenceChanged) -> None:
        """Take a change that the sockets here which watch the user are to hear of; never waits."""
        if event.user in self._watchers:
            try:
                self._news.put_nowait(event)
            except asyncio.QueueFull:
                # ``look`` makes it good.
                DROPPED.inc()
            else:
                self._note(event.user, is_online=event.state == "online")

    def _note(self, user: UserId, *, is_online: bool) -> None:
        """Remember what those who watch the user were told."""
        self._missed.pop(user, None)
        if is_online:
            self._online.add(user)
        else:
            self._online.discard(user)

    async def run(self) -> None:
        """Pass changes on until cancelled, to those who may see them now: people leave groups while they watch."""
        while True:
            batch = [await self._news.get()]
            while len(batch) < _MAX_BATCH and not self._news.empty():
                batch.append(self._news.get_nowait())
            asked = [(event.user, {socket.connection.user for socket in self._watching(event.user)}) for event in batch]
            audiences = await self._database.run(access.presence_audiences, asked)
            for event, audience in zip(batch, audiences, strict=True):
                frame = Encoded(PresenceState(user_ref(event.user), event.state, event.last_seen), ephemeral=True)
                for socket in self._watching(event.user):
                    if socket.connection.user in audience:
                        socket.outbox.put(frame)

    def _watching(self, user: UserId) -> list["Socket"]:
        return list(self._watchers.get(user, ()))

    async def came(self, user: UserId) -> None:
        """Tell the watchers that the user is online, if the user shares it."""
        await self._broadcast([PresenceChanged(user, "online")])

    async def went(self, users: list[UserId], now_ms: int) -> None:
        """Tell the watchers of those users who, after the grace period, are connected nowhere; note when.

        Who has left another pod since is still in the grace of that one, which has the last word (docs/decisions/0067).
        """
        gone = [user for user in users if not self._hub.is_here(user)]
        if not gone:
            return
        try:
            found = await self._registry.whereabouts(gone)
        except RegistryUnavailable:
            # Nobody can be told. When they were here is noted all the same: it is shown of those who are away alone.
            found = {}
        gone = [user for user in gone if user not in found or self._is_last(found[user])]
        if not gone:
            return
        await self._database.run(save_last_seen, gone, now_ms)
        await self._broadcast([PresenceChanged(user, "offline", now_ms) for user in gone])

    def _is_last(self, found: Whereabouts) -> bool:
        """Is somebody connected nowhere, and this the pod that was left last? Of several at one time, one is."""
        left = found.left
        last = self._pod not in left or max(left, key=lambda pod: (left[pod], pod)) == self._pod
        return last and not found.refs

    # --- whom no pod speaks for ---------------------------------------------------------------------

    async def look(self, turn: int, *, now: float, now_ms: int) -> None:
        """Tell the sockets here what no pod tells them of those they watch (docs/decisions/0076).

        A pod that has ended, drained or killed, says nothing of those who were there and never came back. ``turn``: the
        share that is looked at, besides those who are missed; ``now`` is monotonic (s). Does nothing while the registry
        is out, and begins anew with whom it misses.
        """
        share = turn % _LOOK_TURNS
        due = [user for user in self._watchers if user % _LOOK_TURNS == share or user in self._missed]
        try:
            for start in range(0, len(due), _LOOK_BATCH):
                await self._look_at(due[start : start + _LOOK_BATCH], now, now_ms)
        except RegistryUnavailable:
            self._missed.clear()

    async def _look_at(self, users: list[UserId], now: float, now_ms: int) -> None:
        found = await self._registry.whereabouts(users)
        came: list[UserId] = []
        gone: list[UserId] = []
        for user in users:
            it = found.get(user)
            if (it is not None and it.refs) or self._hub.is_here(user):
                self._missed.pop(user, None)
                if user not in self._online:
                    came.append(user)
            elif user in self._online and self._is_away(user, it, now, now_ms):
                gone.append(user)
        if not came and not gone:
            return
        shared = await self._database.run(presence.shared, [*came, *gone])
        await self._database.run(save_last_seen, gone, now_ms)
        # Where a pod has spoken meanwhile, or nobody watches any more, there is nothing left to say.
        events = [PresenceChanged(user, "online") for user in came if user not in self._online]
        events += [PresenceChanged(user, "offline", now_ms) for user in gone if user in self._missed]
        for event in events:
            if event.user in self._watchers:
                self._note(event.user, is_online=event.state == "online")
        for event in events:
            if event.user in shared:
                # As many as there are: nobody else will say it.
                await self._news.put(event)

    def _is_away(self, user: UserId, found: Whereabouts | None, now: float, now_ms: int) -> bool:
        """Note that somebody is missed; return whether that is for long enough, and no pod is about to say it."""
        since = self._missed.setdefault(user, now)
        left = max(found.left.values(), default=0.0) if found is not None else 0.0
        return now - since >= max(_SETTLE_S, self._grace_s) and now_ms / 1000 - left >= self._grace_s

    async def _broadcast(self, events: list[PresenceChanged]) -> None:
        try:
            watchers = await self._registry.watchers([event.user for event in events])
        except RegistryUnavailable:
            return
        if not watchers:
            # The rule when thousands reconnect at once: no query for what nobody would hear.
            return
        shared = await self._database.run(presence.shared, list(watchers))
        per_pod: dict[str, list[PresenceChanged]] = defaultdict(list)
        for event in events:
            if event.user not in shared:
                continue
            for pod in watchers.get(event.user, ()):
                per_pod[pod].append(event)
        await send_batches(self._bus, {pod: list(changes) for pod, changes in per_pod.items()})
