"""The system under test as the machine moves it: started, cut off, crashed, held up, and asked whether it is done.

``System`` is what a machine asks for. Both kinds are two gateways and a router on one event loop: ``EmbeddedSystem`` on
the embedded engines, ``FullSystem`` on Kafka, Cassandra, Redis and PostgreSQL.
"""

import asyncio
import contextlib
import queue
import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from channels.db import database_sync_to_async
from channels.layers import channel_layers
from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

from accounts.models import User
from accounts.services.devices import sign_in_device
from chatproject import container
from messaging.domain.ids import parse_conversation, user_ref
from messaging.endings import end
from messaging.gateway.consumer import ChatConsumer
from messaging.gateway.pod import Pod
from messaging.gateway.server import PodServer, build_server
from messaging.ports import TOPIC_HOT, TOPIC_MESSAGES, TOPIC_RECEIPTS
from messaging.router.router import GROUP, Router
from messaging.services.hot import set_hot
from messaging.threads import DatabaseThreads
from tests.rest import Account

#: How long the router may need for what the machine has given it.
_CATCH_UP_S = 20.0


class System(Protocol):
    """An installation whose parts can be crashed one by one. Its methods return once what they name has happened."""

    #: Where clients connect, as ``host:port``; the same for the whole life.
    gateways: Sequence[str]
    #: Messages in a backfill.
    max_backfill: int
    #: Whether every copy of a message is acked with its one id. Otherwise a later ack, or the message, corrects it.
    acks_agree: bool

    def people(self, devices: Mapping[str, int]) -> dict[str, list[Account]]:
        """Make a new account for each name, with as many devices. Called while nothing else runs."""

    async def start(self) -> None:
        """Start everything."""

    async def stop(self) -> None:
        """End everything."""

    async def crash(self, *, router: bool) -> None:
        """Lose all that is not durable, and start again; without ``router``, it is held."""

    async def crash_gateway(self, number: int) -> None:
        """Lose one gateway and all that it knew, and start it again."""

    async def hold_router(self) -> None:
        """Stop the router wherever it is, as a crash would; gateways go on and ack. Idempotent."""

    async def release_router(self) -> None:
        """Start the router again; it has forgotten all but what is stored. Idempotent."""

    async def spread(self, conv: str, k: int) -> None:
        """Spread a conversation over ``k`` sub-partitions, as an operator would; 1: gather it again."""

    async def caught_up(self) -> None:
        """Return once the router has done all that is in the log. Raises TimeoutError."""


class Gateway:
    """One pod with its server, on a port that it keeps."""

    def __init__(self, name: str, http: Any) -> None:
        self._name = name
        self._http = http
        self._port = 0
        self._pod: Pod | None = None
        self._server: PodServer | None = None
        self._serving: asyncio.Task[None] | None = None
        self._dying: list[asyncio.Task[Any]] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def bind(self) -> socket.socket:
        """Return a listener on the port, which is chosen at the first call."""
        listener = socket.create_server(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        return listener

    async def start(self, listener: socket.socket) -> None:
        pod = self._pod = Pod(
            name=self._name,
            limits=container.limits(),
            log=container.message_log(),
            registry=container.registry(),
            bus=container.pod_bus(),
            database=DatabaseThreads(size=2, name=self._name),
        )
        await pod.start()

        async def give() -> Pod:
            return pod

        app = ProtocolTypeRouter({"http": self._http, "websocket": ChatConsumer.as_asgi(pod=give)})
        self._server = build_server(app, host="127.0.0.1", port=self._port, limits=container.limits())
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        await self._server.listening.wait()

    def cut(self) -> None:
        """End it as a kill does: connections are reset, nothing is flushed, nothing is said to anybody.

        There is no method for that, so this reaches into the objects: their own ways of stopping are orderly.
        """
        assert self._pod is not None
        assert self._server is not None
        assert self._serving is not None
        for server in self._server.servers:
            server.close()
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
        self._dying = [*self._pod._tasks, *self._pod._short, *self._server.server_state.tasks, self._serving]
        for task in self._dying:
            if not _is_request(task):
                task.cancel()

    async def gone(self) -> None:
        """Return once nothing of what was cut runs any more."""
        assert self._pod is not None
        requests = [task for task in self._dying if _is_request(task)]
        await end(task for task in self._dying if task not in requests)
        await asyncio.gather(*requests, return_exceptions=True)
        # What the dying sockets asked of their pod.
        await end(self._pod._short)
        await asyncio.to_thread(self._pod.database.close)
        self._pod = self._server = self._serving = None
        self._dying = []


def _is_request(task: "asyncio.Task[Any]") -> bool:
    """Django, when it is cancelled, leaves the file of a request open; cut off, it comes to an end by itself."""
    return str(task.get_coro().__qualname__).startswith("RequestResponseCycle")  # type: ignore[union-attr]


class InProcessSystem(ABC):
    """Two gateways and a router on the running loop, with the adapters that the settings name."""

    acks_agree: bool

    def __init__(self) -> None:
        self.max_backfill = container.limits().max_backfill
        # Django's side keeps nothing between requests; to build it anew takes longer than all the rest of a restart.
        http = get_asgi_application()
        self._gateways = [Gateway("one", http), Gateway("two", http)]
        self._router: tuple[Router, DatabaseThreads] | None = None
        self._listeners = [gateway.bind() for gateway in self._gateways]
        self.gateways: Sequence[str] = [gateway.address for gateway in self._gateways]

    def people(self, devices: Mapping[str, int]) -> dict[str, list[Account]]:
        made: dict[str, list[Account]] = {}
        for name, count in devices.items():
            user = User.objects.create(username=f"{name}{User.objects.count()}")
            tokens = [sign_in_device(user=user, name="test")[1] for _ in range(count)]
            made[name] = [Account(user_ref(user.pk), token) for token in tokens]
        return made

    async def start(self) -> None:
        await container.message_log().start()
        await self.release_router()
        for gateway, listener in zip(self._gateways, self._listeners, strict=True):
            await gateway.start(listener)

    async def stop(self) -> None:
        await self._end()
        await container.message_log().close()

    @abstractmethod
    def _lose(self) -> None:
        """Lose what the process alone knows, as it dies."""

    @abstractmethod
    def _forget(self) -> None:
        """Begin with new adapters, where those that were there know anything that a new process would not."""

    async def _end(self) -> None:
        for gateway in self._gateways:
            gateway.cut()
        self._lose()
        for gateway in self._gateways:
            await gateway.gone()
        await self.hold_router()

    async def crash(self, *, router: bool) -> None:
        await self._end()
        await container.message_log().close()
        container.message_log.cache_clear()
        self._forget()
        await container.message_log().start()
        if router:
            await self.release_router()
        for gateway in self._gateways:
            await gateway.start(gateway.bind())

    async def crash_gateway(self, number: int) -> None:
        gateway = self._gateways[number]
        gateway.cut()
        await gateway.gone()
        await gateway.start(gateway.bind())

    async def hold_router(self) -> None:
        if self._router is not None:
            router, database = self._router
            self._router = None
            await router.stop()
            # A transaction that has begun is the database's; it ends before another router may begin.
            await asyncio.to_thread(database.close)

    async def release_router(self) -> None:
        if self._router is None:
            database = DatabaseThreads(size=2, name="router")
            router = Router(
                log=container.message_log(),
                messages=container.message_store(),
                conversations=container.conversation_store(),
                registry=container.registry(),
                bus=container.pod_bus(),
                database=database,
            )
            await router.start()
            self._router = router, database

    async def spread(self, conv: str, k: int) -> None:
        await database_sync_to_async(set_hot)(conversation_id=parse_conversation(conv), k=k)

    async def caught_up(self) -> None:
        log = container.message_log()
        async with asyncio.timeout(_CATCH_UP_S):
            for topic in (TOPIC_MESSAGES, TOPIC_HOT, TOPIC_RECEIPTS):
                # A commit tells nobody, so this looks.
                while await log.lag(topic, group=GROUP):  # noqa: ASYNC110
                    await asyncio.sleep(0.005)


class EmbeddedSystem(InProcessSystem):
    """On the embedded engines: with the process, registry and channel layer are gone."""

    acks_agree = True

    def _lose(self) -> None:
        log: Any = container.message_log()
        # What waits for the log's writer is in memory only; what the writer has begun ends one way or the other.
        with contextlib.suppress(queue.Empty):
            while True:
                log._queue.get_nowait()

    def _forget(self) -> None:
        container.registry.cache_clear()
        container.pod_bus.cache_clear()
        channel_layers.backends.clear()


class FullSystem(InProcessSystem):
    """On Kafka, Cassandra, Redis and PostgreSQL, which outlive every crash and still know of the dead."""

    acks_agree = False

    def _lose(self) -> None:
        """Nothing can be taken back from kafka-python's thread; whoever waited for it is gone."""

    def _forget(self) -> None:
        """The clients of Redis keep nothing that a new process would not find there."""
