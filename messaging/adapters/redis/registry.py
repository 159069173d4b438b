"""ConnectionRegistry in Redis or Redis Cluster (design sections 3 and 6; docs/decisions/0010).

::

    chat:reg:pods          sorted set: pod -> its last heartbeat
    chat:reg:{17}:u:4241   sorted set: connection and pod of user 4241 -> when it was last heard;
                           a pod without a connection -> when one of them ended there last
    chat:reg:{17}:w:4241   sorted set: pod that watches user 4241's presence -> when it last said so

All times are Unix seconds of the pods' clocks, and what counts is decided by them; Redis' own expiry only removes
what nobody renews. Users are spread over 64 buckets, ``{17}``: a bucket is in one hash slot, and therefore on one node
of a cluster, so that one script call serves all its users. On a cluster a look-up of 5,000 users is 64 commands in one
round trip to each node, and takes 30 ms of processor time where 5,000 commands took 200; on a single server it is 20,
and that of a poll's thirty users is one and not thirty.
"""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha1
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from prometheus_client import Gauge
from redis.asyncio import RedisCluster
from redis.exceptions import ConnectionError, NoScriptError

from messaging.adapters.outage import Outage
from messaging.adapters.redis.clients import (
    COMMAND_TIMEOUT_S,
    CONNECT_TIMEOUT_S,
    UNREACHABLE,
    Client,
    LoopClients,
)
from messaging.domain.ids import UserId
from messaging.ports import ENTRY_TTL_S, POD_TTL_S, WATCH_TTL_S, ConnectionRef, RegistryUnavailable, Whereabouts

logger = logging.getLogger(__name__)

CLOCK_SKEW = Gauge("chat_registry_clock_skew_seconds", "How far this machine's clock is ahead of the registry's.")

_BUCKETS: Final = 64
#: Users, or connections, in one round trip; more are several.
_MAX_BATCH: Final = 10_000
#: Keys of one script call on a single server, which does nothing else meanwhile: less than a millisecond.
_MAX_KEYS: Final = 250
#: A backstop: a connect, a question to it and the command each have their own time.
_DEADLINE_S: Final = CONNECT_TIMEOUT_S + 2 * COMMAND_TIMEOUT_S
#: Pods and readers compare each other's clocks; half a heartbeat's grace is left.
_MAX_SKEW_S: Final = 5.0

Command = tuple[str | bytes | int | float, ...]


class _Script:
    """A script and the name that Redis knows it by."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = sha1(text.encode(), usedforsecurity=False).hexdigest()

    def call(self, keys: Sequence[str], *arguments: str | float) -> Command:
        return ("EVALSHA", self.sha, len(keys), *keys, *arguments)


#: KEYS[i] gets the member ARGV[i + 3] at the time ARGV[1]; what is not newer than ARGV[2] goes, all of it after ARGV[3]
#: seconds without a call. Returns the server's time.
_PUT: Final = _Script("""
for i = 1, #KEYS do
    redis.call('ZADD', KEYS[i], ARGV[1], ARGV[i + 3])
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', ARGV[2])
    redis.call('EXPIRE', KEYS[i], ARGV[3])
end
return redis.call('TIME')
""")
#: KEYS[i] loses the member ARGV[i].
_DROP: Final = _Script("""
for i = 1, #KEYS do
    redis.call('ZREM', KEYS[i], ARGV[i])
end
""")
#: KEYS[i] loses the member ARGV[i + 3], and has ARGV[3] since ARGV[1], for at most ARGV[2] seconds.
_LEAVE: Final = _Script("""
for i = 1, #KEYS do
    redis.call('ZREM', KEYS[i], ARGV[i + 3])
    redis.call('ZADD', KEYS[i], ARGV[1], ARGV[3])
    redis.call('EXPIRE', KEYS[i], ARGV[2])
end
""")
#: Returns JSON: [[i, [member, time, …]], …] of those KEYS[i] that have members newer than ARGV[1].
#: One string: redis-py spends more on each answer than Redis does.
_READ: Final = _Script("""
local found = {}
for i = 1, #KEYS do
    local members = redis.call('ZRANGEBYSCORE', KEYS[i], '(' .. ARGV[1], '+inf', 'WITHSCORES')
    if #members > 0 then
        found[#found + 1] = {i, members}
    end
end
if #found == 0 then
    return '[]'
end
return cjson.encode(found)
""")
_found = msgspec.json.Decoder(list[tuple[int, list[str]]])


def _member(pod: str, conn: str) -> str:
    return f"{conn}\0{pod}"


def _ref(member: str, last_seen: str) -> ConnectionRef:
    conn, _, pod = member.partition("\0")
    return ConnectionRef(pod, conn, float(last_seen))


class RedisConnectionRegistry:
    """See the module and the port. ``url`` as in CHAT_REGISTRY_URL; ``clock`` gives Unix seconds.

    Every command may run twice to the same effect, so each is sent again over a new connection where the old one turns
    out to be closed. Nothing waits longer than 2 s, and while Redis is away only one call a second waits at all.
    """

    def __init__(self, url: str, *, prefix: str = "chat:reg:", clock: Callable[[], float] = time.time) -> None:
        self._clients = LoopClients(url)
        self._is_cluster = urlsplit(url).scheme.endswith("+cluster")
        self._prefix = prefix
        self._clock = clock
        self._outage = Outage("registry")
        self._skewed = False

    async def register(self, pod: str, entries: Sequence[tuple[UserId, str]]) -> None:
        """Add connections of a pod; see the port."""
        await self._put(pod, "u", [(user, _member(pod, conn)) for user, conn in entries], ttl_s=ENTRY_TTL_S)

    async def unregister(self, pod: str, entries: Sequence[tuple[UserId, str]]) -> None:
        """Remove connections; see the port."""
        now = self._clock()
        for part in _parts([(user, _member(pod, conn)) for user, conn in entries], _MAX_BATCH):
            await self._run(
                _LEAVE.call(
                    [self._key("u", user) for user, _ in bucket],
                    now,
                    2 * ENTRY_TTL_S,
                    _member(pod, ""),
                    *_second(bucket),
                )
                for bucket in self._calls(part)
            )

    async def whereabouts(self, users: Sequence[UserId]) -> dict[UserId, Whereabouts]:
        """Return where those users are, and were lately; see the port."""
        alive, members = await self._read("u", users, ttl_s=ENTRY_TTL_S)
        found: dict[UserId, Whereabouts] = {}
        for user, entries in members.items():
            refs = [_ref(member, when) for member, when in entries]
            live = [ref for ref in refs if ref.conn and ref.pod in alive]
            left = {ref.pod: ref.last_seen for ref in refs if not ref.conn}
            if live or left:
                found[user] = Whereabouts(live, left)
        return found

    async def lookup(self, users: Sequence[UserId]) -> dict[UserId, list[ConnectionRef]]:
        """Return the live connections of those who have any; see the port."""
        alive, members = await self._read("u", users, ttl_s=ENTRY_TTL_S)
        found: dict[UserId, list[ConnectionRef]] = {}
        for user, entries in members.items():
            refs = [_ref(member, last_seen) for member, last_seen in entries]
            live = [ref for ref in refs if ref.conn and ref.pod in alive]
            if live:
                found[user] = live
        return found

    async def heartbeat(self, pod: str) -> None:
        """Keep a pod alive, and forget those that are long dead."""
        await self._put(pod, "u", [], ttl_s=ENTRY_TTL_S)

    async def watch(self, pod: str, users: Sequence[UserId]) -> None:
        """Note a pod's interest; see the port."""
        await self._put(pod, "w", [(user, pod) for user in users], ttl_s=WATCH_TTL_S)

    async def unwatch(self, pod: str, users: Sequence[UserId]) -> None:
        """Undo ``watch``."""
        await self._drop("w", [(user, pod) for user in users])

    async def watchers(self, users: Sequence[UserId]) -> dict[UserId, list[str]]:
        """Return the live pods that watch each user; see the port."""
        alive, members = await self._read("w", users, ttl_s=WATCH_TTL_S)
        found: dict[UserId, list[str]] = {}
        for user, entries in members.items():
            pods = [pod for pod, _ in entries if pod in alive]
            if pods:
                found[user] = pods
        return found

    # --- commands ---------------------------------------------------------------------------------

    def _key(self, kind: str, user: UserId) -> str:
        return f"{self._prefix}{{{user % _BUCKETS}}}:{kind}:{user}"

    def _calls(self, pairs: Sequence[tuple[UserId, str]]) -> Iterator[Sequence[tuple[UserId, str]]]:
        """Yield the pairs of each script call: of a bucket, which is on one node, or else of not too many keys."""
        return _buckets(pairs) if self._is_cluster else _parts(pairs, _MAX_KEYS)

    @property
    def _pods(self) -> str:
        return f"{self._prefix}pods"

    async def _put(self, pod: str, kind: str, pairs: Sequence[tuple[UserId, str]], *, ttl_s: int) -> None:
        """Renew the pod's heartbeat and these (user, member) pairs."""
        for part in list(_parts(pairs, _MAX_BATCH)) or [()]:
            now = self._clock()
            beat = _PUT.call([self._pods], now, now - ENTRY_TTL_S, 2 * ENTRY_TTL_S, pod)
            puts = [
                _PUT.call([self._key(kind, user) for user, _ in bucket], now, now - ttl_s, 2 * ttl_s, *_second(bucket))
                for bucket in self._calls(part)
            ]
            seconds, microseconds = (await self._run([beat, *puts]))[0]
            self._note_skew(now - int(seconds) - int(microseconds) / 1e6)

    async def _drop(self, kind: str, pairs: Sequence[tuple[UserId, str]]) -> None:
        for part in _parts(pairs, _MAX_BATCH):
            await self._run(
                _DROP.call([self._key(kind, user) for user, _ in bucket], *_second(bucket))
                for bucket in self._calls(part)
            )

    async def _read(
        self, kind: str, users: Sequence[UserId], *, ttl_s: int
    ) -> tuple[set[str], dict[UserId, list[tuple[str, str]]]]:
        """Return the live pods, and of each user what is not outdated: members with their times."""
        now = self._clock()
        alive: set[str] = set()
        found: dict[UserId, list[tuple[str, str]]] = {}
        for part in _parts([(user, "") for user in dict.fromkeys(users)], _MAX_BATCH):
            buckets = list(self._calls(part))
            reads = [_READ.call([self._key(kind, user) for user, _ in bucket], now - ttl_s) for bucket in buckets]
            pods, *replies = await self._run([_READ.call([self._pods], now - POD_TTL_S), *reads])
            for _, members in _found.decode(pods):
                alive.update(members[::2])
            for bucket, reply in zip(buckets, replies, strict=True):
                for place, members in _found.decode(reply):
                    found[bucket[place - 1][0]] = list(zip(members[::2], members[1::2], strict=True))
        return alive, found

    # --- round trips ------------------------------------------------------------------------------

    async def _run(self, commands: Iterable[Command]) -> list[Any]:
        """Return the answers to commands that travel together. Raises RegistryUnavailable."""
        if self._outage.refuses():
            raise RegistryUnavailable("the registry was away a moment ago")
        mine = await self._clients.get()
        try:
            async with asyncio.timeout(_DEADLINE_S), mine.places:
                answers = await _send(mine.client, list(commands))
        except UNREACHABLE as error:
            self._outage.failed(error)
            await _look_again(mine.client)
            raise RegistryUnavailable(f"{type(error).__name__}: {error}") from error
        self._outage.succeeded()
        return answers

    def _note_skew(self, skew_s: float) -> None:
        CLOCK_SKEW.set(skew_s)
        skewed = abs(skew_s) > _MAX_SKEW_S
        if skewed and not self._skewed:
            logger.warning("our clock and the registry's differ by %.1f s: pods may be taken for dead", skew_s)
        self._skewed = skewed


async def _send(client: Client, commands: Sequence[Command]) -> list[Any]:
    for _ in range(2):
        try:
            return await _pipeline(client, commands)
        except NoScriptError:
            # A server that is new, or has lost its memory.
            for script in (_PUT, _DROP, _LEAVE, _READ):
                await client.script_load(script.text)
        except ConnectionError:
            # A connection that was closed while nobody used it, or a cluster that has changed.
            await _look_again(client)
    return await _pipeline(client, commands)


async def _pipeline(client: Client, commands: Sequence[Command]) -> list[Any]:
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    return await pipeline.execute()


async def _look_again(client: Client) -> None:
    """Have a cluster's nodes asked anew who serves what. A single server's pool finds closed connections by itself."""
    if isinstance(client, RedisCluster):
        with contextlib.suppress(*UNREACHABLE):
            await client.aclose()


def _parts(pairs: Sequence[tuple[UserId, str]], size: int) -> Iterator[Sequence[tuple[UserId, str]]]:
    return (pairs[start : start + size] for start in range(0, len(pairs), size))


def _buckets(pairs: Iterable[tuple[UserId, str]]) -> Iterator[list[tuple[UserId, str]]]:
    """Yield the pairs of each bucket."""
    buckets: dict[int, list[tuple[UserId, str]]] = defaultdict(list)
    for user, member in pairs:
        buckets[user % _BUCKETS].append((user, member))
    yield from buckets.values()


def _second(pairs: Iterable[tuple[UserId, str]]) -> list[str]:
    return [member for _, member in pairs]
