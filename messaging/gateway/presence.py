"""Who is online, told to those who watch (design section 6). Best effort, with a grace period for flapping phones."""

import logging
from collections import defaultdict
from typing import TYPE_CHECKING

from messaging.domain.events import PresenceChanged
from messaging.domain.frames import PresenceState
from messaging.domain.ids import UserId, user_ref
from messaging.gateway.outbox import Encoded
from messaging.ports import ConnectionRegistry, PodBus, RegistryUnavailable
from messaging.selectors import access, presence
from messaging.services.fanout import locate, send_batches
from messaging.services.presence import save_last_seen
from messaging.threads import DatabaseThreads

if TYPE_CHECKING:
    from messaging.gateway.consumer import Socket
    from messaging.gateway.hub import Hub

logger = logging.getLogger(__name__)


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

    async def watch(self, socket: "Socket", users: frozenset[UserId]) -> None:
        """Replace the socket's subscription by those of ``users`` it may see, and report the state of all.

        Someone who hides looks the same as someone who is offline and was never seen.
        """
        viewer = socket.connection.user
        visible = await self._database.run(access.visible_presence, viewer, list(users))
        self._unsubscribe(socket)
        socket.watching = frozenset(visible)
        fresh = [user for user in visible if user not in self._watchers]
        for user in visible:
            self._watchers[user].add(socket)
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

    def _unsubscribe(self, socket: "Socket") -> list[UserId]:
        unwatched = []
        for user in socket.watching:
            watchers = self._watchers.get(user)
            if watchers is not None:
                watchers.discard(socket)
                if not watchers:
                    del self._watchers[user]
                    unwatched.append(user)
        socket.watching = frozenset()
        return unwatched

    async def forget(self, socket: "Socket") -> None:
        """Drop the subscription of a socket that is gone."""
        unwatched = self._unsubscribe(socket)
        if unwatched:
            try:
                await self._registry.unwatch(self._pod, unwatched)
            except RegistryUnavailable:
                logger.warning(
                    "registry unavailable: %d users stay watched until the pod's entry expires", len(unwatched)
                )

    def tell_local(self, event: PresenceChanged) -> None:
        """Pass a change on to the sockets here that watch the user."""
        watchers = self._watchers.get(event.user)
        if watchers:
            frame = Encoded(PresenceState(user_ref(event.user), event.state, event.last_seen), ephemeral=True)
            for socket in list(watchers):
                socket.outbox.put(frame)

    async def came(self, user: UserId) -> None:
        """Tell the watchers that the user is online, if the user shares it."""
        await self._broadcast([PresenceChanged(user, "online")])

    async def went(self, users: list[UserId], now_ms: int) -> None:
        """Tell the watchers of those users who, after the grace period, are connected nowhere; note when."""
        located = await locate(self._registry, users)
        gone = [user for user in users if user not in located and not self._hub.is_here(user)]
        if not gone:
            return
        await self._database.run(save_last_seen, gone, now_ms)
        await self._broadcast([PresenceChanged(user, "offline", now_ms) for user in gone])

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
