"""A ConnectionRegistry that remembers its answers for an outage (design section 6; docs/decisions/0011)."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client import Counter

from messaging.domain.ids import UserId
from messaging.ports import ConnectionRef, ConnectionRegistry, RegistryUnavailable, Whereabouts

SERVED = Counter("chat_registry_cache_served_total", "Users found in the cache while the registry was out.")
MISSED = Counter("chat_registry_cache_missed_total", "Users taken for offline while the registry was out.")

#: How old an answer may be that is given in an outage (s).
CACHE_TTL_S: Final = 60.0


class CachedConnectionRegistry:
    """Passes everything on; where ``inner`` does not answer a look-up, answers with what it said in the last minute.

    Who is not remembered counts as offline. Bounded by ``max_users``; the longest unasked is forgotten first. Nothing
    else is made up: other calls raise RegistryUnavailable as they do without it. From any thread.
    """

    def __init__(
        self,
        inner: ConnectionRegistry,
        *,
        max_users: int = 50_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._max_users = max_users
        self._monotonic = monotonic
        self._lock = threading.Lock()
        #: In the order in which they were asked for, each with the time of the answer.
        self._kept: dict[UserId, tuple[float, list[ConnectionRef]]] = {}

    async def lookup(self, users: Sequence[UserId]) -> dict[UserId, list[ConnectionRef]]:
        """Return the live connections of those who have any, as far as is known."""
        try:
            found = await self._inner.lookup(users)
        except RegistryUnavailable:
            return self._remembered(users)
        self._remember(users, found)
        return found

    def _remember(self, users: Sequence[UserId], found: dict[UserId, list[ConnectionRef]]) -> None:
        now = self._monotonic()
        with self._lock:
            for user in users:
                self._kept.pop(user, None)
                refs = found.get(user)
                if refs is not None:
                    self._kept[user] = (now, refs)
            while len(self._kept) > self._max_users:
                del self._kept[next(iter(self._kept))]

    def _remembered(self, users: Sequence[UserId]) -> dict[UserId, list[ConnectionRef]]:
        oldest = self._monotonic() - CACHE_TTL_S
        with self._lock:
            kept = {user: self._kept[user] for user in users if user in self._kept}
        found = {user: refs for user, (at, refs) in kept.items() if at > oldest}
        SERVED.inc(len(found))
        MISSED.inc(len(set(users)) - len(found))
        return found

    async def register(self, pod: str, entries: Sequence[tuple[UserId, str]]) -> None:
        """Add connections of a pod; see the port."""
        await self._inner.register(pod, entries)

    async def unregister(self, pod: str, entries: Sequence[tuple[UserId, str]]) -> None:
        """Remove connections; see the port."""
        await self._inner.unregister(pod, entries)

    async def whereabouts(self, users: Sequence[UserId]) -> dict[UserId, Whereabouts]:
        """Return where those users are, and were lately; see the port."""
        return await self._inner.whereabouts(users)

    async def heartbeat(self, pod: str) -> None:
        """Keep a pod alive; see the port."""
        await self._inner.heartbeat(pod)

    async def watch(self, pod: str, users: Sequence[UserId]) -> None:
        """Note a pod's interest; see the port."""
        await self._inner.watch(pod, users)

    async def unwatch(self, pod: str, users: Sequence[UserId]) -> None:
        """Undo ``watch``."""
        await self._inner.unwatch(pod, users)

    async def watchers(self, users: Sequence[UserId]) -> dict[UserId, list[str]]:
        """Return the live pods that watch each user; see the port."""
        return await self._inner.watchers(users)
