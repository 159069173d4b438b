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


class PresenceTracker:
    """The pod's side of presence: local watchers, and the coming and going of local users."""

    def __init__(
        self, *, pod: str, hub: "Hub", registry: ConnectionRegistry, bus: PodBus, database: DatabaseThreads
    ) -> None:
        self._pod = pod
        self._hub = hub
        self._registry = registry
        self._bus = bus
        self._database = database
        self._watchers: dict[UserId, set[Socket]] = defaultdict(set)
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
                DROPPED.inc()

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
