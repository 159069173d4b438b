"""ConnectionRegistry in the memory of one process (design section 3). Never waits."""

import time
from collections.abc import Callable, Sequence

from messaging.domain.ids import UserId
from messaging.ports import ENTRY_TTL_S, POD_TTL_S, ConnectionRef, Whereabouts


class MemoryConnectionRegistry:
    """Connections by user, pods by their last heartbeat, watchers by user. ``clock`` gives Unix seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._connections: dict[UserId, dict[tuple[str, str], float]] = {}
        self._pods: dict[str, float] = {}
        self._watchers: dict[UserId, set[str]] = {}
        #: (user, pod) and when it unregistered a connection last, in the order of these times.
        self._left: dict[tuple[UserId, str], float] = {}

    async def register(self, pod: str, entries: Sequence[tuple[UserId, str]]) -> None:
        """Add connections of a pod; see the port."""
        now = self._clock()
        self._pods[pod] = now
        for user, conn in entries:
            self._connections.setdefault(user, {})[pod, conn] = now

    async def unregister(self, pod: str, entries: Sequence[tuple[UserId, str]]) -> None:
        """Remove connections; see the port."""
        now = self._clock()
        for user, conn in entries:
            held = self._connections.get(user)
            if held is not None and held.pop((pod, conn), None) is not None and not held:
                del self._connections[user]
            self._left.pop((user, pod), None)
            self._left[user, pod] = now
        self._forget_left(now)

    def _forget_left(self, now: float) -> None:
        while self._left and now - self._left[next(iter(self._left))] > ENTRY_TTL_S:
            del self._left[next(iter(self._left))]

    async def whereabouts(self, users: Sequence[UserId]) -> dict[UserId, Whereabouts]:
        """Return where those users are, and were lately; see the port."""
        self._forget_left(self._clock())
        wanted = set(users)
        found = {user: Whereabouts(refs, {}) for user, refs in (await self.lookup(users)).items()}
        for (user, pod), when in self._left.items():
            if user in wanted:
                found.setdefault(user, Whereabouts([], {})).left[pod] = when
        return found

    def _alive(self, pod: str, now: float) -> bool:
        return now - self._pods.get(pod, float("-inf")) < POD_TTL_S

    async def lookup(self, users: Sequence[UserId]) -> dict[UserId, list[ConnectionRef]]:
        """Return the live connections of those who have any; see the port."""
        now = self._clock()
        alive = {pod for pod in self._pods if self._alive(pod, now)}
        found: dict[UserId, list[ConnectionRef]] = {}
        for user in users:
            held = self._connections.get(user)
            if held is not None:
                refs = [ConnectionRef(pod, conn, seen) for (pod, conn), seen in held.items() if pod in alive]
                if refs:
                    found[user] = refs
        return found

    async def heartbeat(self, pod: str) -> None:
        """Keep a pod alive, and forget what dead ones left."""
        now = self._clock()
        self._pods[pod] = now
        dead = {name for name in self._pods if not self._alive(name, now)}
        if dead:
            for user, held in list(self._connections.items()):
                for key in [key for key in held if key[0] in dead]:
                    del held[key]
                if not held:
                    del self._connections[user]
            for user, pods in list(self._watchers.items()):
                pods -= dead
                if not pods:
                    del self._watchers[user]
            for name in dead:
                del self._pods[name]

    async def watch(self, pod: str, users: Sequence[UserId]) -> None:
        """Note a pod's interest; see the port."""
        self._pods.setdefault(pod, self._clock())
        for user in users:
            self._watchers.setdefault(user, set()).add(pod)

    async def unwatch(self, pod: str, users: Sequence[UserId]) -> None:
        """Undo ``watch``."""
        for user in users:
            pods = self._watchers.get(user)
            if pods is not None:
                pods.discard(pod)
                if not pods:
                    del self._watchers[user]

    async def watchers(self, users: Sequence[UserId]) -> dict[UserId, list[str]]:
        """Return the live pods that watch each user; see the port."""
        now = self._clock()
        found: dict[UserId, list[str]] = {}
        for user in users:
            pods = [pod for pod in self._watchers.get(user, ()) if self._alive(pod, now)]
            if pods:
                found[user] = pods
        return found
