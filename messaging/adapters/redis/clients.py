"""Clients of Redis for event loops: short timeouts, a bounded pool, and each closed together with its loop.

A server process has one loop for its life, but ``async_to_sync`` runs a loop for each call of a thread that has no
loop above it (a job, a command), and a connection belongs to the loop that opened it. So each loop has a client, made
at the first use. It is held by an asynchronous generator: whoever ends a loop in good order (``asyncio.run``, uvloop,
asgiref) ends its generators first, and that closes the client, without a word from its users.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from redis._parsers.commands import AsyncCommandsParser
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

Client = Redis | RedisCluster

CONNECT_TIMEOUT_S: Final = 1.0
COMMAND_TIMEOUT_S: Final = 0.5
#: Round trips that one loop has under way; more wait for their turn.
_MAX_CONCURRENT: Final = 16
#: redis-py refuses past this. Above the number of round trips: a cancelled one gives its connection back a moment late.
_MAX_CONNECTIONS: Final = 2 * _MAX_CONCURRENT

#: What a call may raise when Redis is out of reach or unwell. Timeouts are OSErrors.
UNREACHABLE: Final = (RedisError, RedisClusterException, OSError)


class _ScriptsOnly(AsyncCommandsParser):
    """Spares a cluster's client the list of all commands: 50 ms of work at each connect, of which scripts need none."""

    async def initialize(self, node: Any = None) -> None:
        """Ask nothing."""


def open_client(url: str) -> Client:
    """Return a client for scripts (EVALSHA); nothing is connected yet. It never retries: that is its user's decision.

    ``redis+cluster://`` (``rediss+cluster://`` with TLS) is a Redis Cluster, and may name several nodes,
    ``host:port,host:port``; the others are learnt from the first that answers.
    """
    options: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": COMMAND_TIMEOUT_S,
        "max_connections": _MAX_CONNECTIONS,
        "retry": Retry(NoBackoff(), 0),
        # Fewer questions at each connect: nothing of version 3 is needed, nor does Redis need to know who we are.
        "protocol": 2,
        "driver_info": None,
    }
    parts = urlsplit(url)
    if not parts.scheme.endswith("+cluster"):
        return Redis.from_url(url, **options)
    credentials, at, hosts = parts.netloc.rpartition("@")
    first, *others = hosts.split(",")
    plain = parts._replace(scheme=parts.scheme.removesuffix("+cluster"), netloc=f"{credentials}{at}{first}")
    seeds = [host.rpartition(":") for host in others]
    cluster = RedisCluster.from_url(
        urlunsplit(plain),
        startup_nodes=[ClusterNode(host, int(port)) for host, _, port in seeds],
        # The nodes of the URL stay where a lost cluster is looked for, whatever addresses it had meanwhile.
        dynamic_startup_nodes=False,
        **options,
    )
    cluster.commands_parser = _ScriptsOnly()
    return cluster


@dataclass(slots=True)
class LoopClient:
    """A loop's client, and its places for round trips."""

    client: Client
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MAX_CONCURRENT))


#: Holds each loop's generators until it ends, also where whoever asked for the client is gone: the collector would come
#: upon an open connection before it came upon the generator that closes it.
_holders: dict[asyncio.AbstractEventLoop, list[AsyncGenerator[LoopClient, None]]] = {}


class LoopClients:
    """The clients of one server, one for each loop that asks. From any thread."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._clients: dict[asyncio.AbstractEventLoop, LoopClient] = {}

    async def get(self) -> LoopClient:
        """Return the running loop's client."""
        loop = asyncio.get_running_loop()
        mine = self._clients.get(loop)
        if mine is None:
            self._forget_dead_loops()
            holder = self._hold(loop)
            _holders.setdefault(loop, []).append(holder)
            mine = await anext(holder)
        return mine

    async def _hold(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[LoopClient, None]:
        mine = self._clients[loop] = LoopClient(open_client(self._url))
        try:
            yield mine
        finally:
            self._clients.pop(loop, None)
            # It ends, and ends all of them.
            _holders.pop(loop, None)
            with contextlib.suppress(*UNREACHABLE):
                await mine.client.aclose()

    def _forget_dead_loops(self) -> None:
        # A loop that was closed without ending its generators; its sockets go with the last reference.
        for loop in [loop for loop in {*self._clients, *_holders} if loop.is_closed()]:
            self._clients.pop(loop, None)
            _holders.pop(loop, None)
