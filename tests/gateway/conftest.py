"""The real server in the test's event loop, and a real client."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.conf import settings
from websockets.asyncio.client import ClientConnection, connect

from accounts.models import Device, User, new_token, token_digest
from chatproject import container, runtime
from messaging.domain import ids
from tests.conftest import outside_the_loop

Frame = dict[str, Any]


class Client:
    """A socket of one user. ``expect`` keeps what it passes over, so that frames may come in any order."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.passed: list[Frame] = []

    async def send(self, op: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"op": op, **fields}))

    async def next(self) -> Frame:
        async with asyncio.timeout(5):
            frame: Frame = json.loads(await self.connection.recv())
        return frame

    async def expect(self, op: str, **fields: Any) -> Frame:
        """Return the first frame of this op with these fields, passed over before or still to come."""

        def fits(frame: Frame) -> bool:
            return frame["op"] == op and all(frame.get(name) == value for name, value in fields.items())

        for frame in self.passed:
            if fits(frame):
                self.passed.remove(frame)
                return frame
        while not fits(frame := await self.next()):
            self.passed.append(frame)
        return frame

    async def quiet(self) -> list[Frame]:
        """Return all that came before the answer to a ping sent now."""
        await self.send("ping")
        await self.expect("pong")
        passed, self.passed = self.passed, []
        return passed

    async def say(self, conv: str, body: str = "hello", msg_id: str | None = None) -> Frame:
        """Send a message and return its ack."""
        msg_id = msg_id or str(uuid4())
        await self.send("send", msg_id=msg_id, conv=conv, body=body)
        return await self.expect("ack", msg_id=msg_id)

    async def refusal(self, code: str) -> Frame:
        return await self.expect("error", code=code)

    async def close_code(self) -> int:
        """Return the code with which the server closes."""
        async with asyncio.timeout(8):
            await self.connection.wait_closed()
        assert self.connection.close_code is not None
        return self.connection.close_code


class Server:
    """A gateway and a router that listen on ``address``."""

    def __init__(self, port: int, end: Callable[[], Awaitable[None]]) -> None:
        self.port = port
        self.address = f"ws://127.0.0.1:{port}/ws"
        self._end = end
        self._open: list[ClientConnection] = []
        self._https: list[httpx.AsyncClient] = []

    def token(self, user: User, **fields: Any) -> str:
        token = new_token()
        outside_the_loop(
            lambda: Device.objects.create(
                user=user, kind=Device.Kind.TOKEN, name="test", token_digest=token_digest(token), **fields
            )
        )
        return token

    async def connect(self, **options: Any) -> Client:
        options.setdefault("subprotocols", ["chat.v1.json"])
        # No bound on what waits unread: a client that stopped reading would not see the close frame, either.
        connection = await connect(
            self.address, proxy=None, ping_interval=None, max_size=None, max_queue=None, **options
        )
        self._open.append(connection)
        return Client(connection)

    async def sign_in(self, user: User) -> Client:
        """Return a socket of the user that was greeted."""
        client = await self.connect(additional_headers={"Authorization": f"Bearer {self.token(user)}"})
        await client.expect("ready")
        return client

    def http(self, token: str) -> httpx.AsyncClient:
        """Return a client of the REST API with a bearer token."""
        client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
            timeout=10,
        )
        self._https.append(client)
        return client

    async def stop(self) -> None:
        """End the process, as far as it is one; idempotent. Another one goes on with the same files."""
        for client in self._https:
            await client.aclose()
        for connection in self._open:
            await connection.close()
        await self._end()


@pytest.fixture
def limits(settings: Any) -> Callable[..., None]:
    """Return a function that changes limits; call it before the server starts."""

    def change(**changes: Any) -> None:
        settings.LIMITS = replace(settings.LIMITS, **changes)

    return change


@pytest.fixture
async def start_server(transactional_db: None) -> AsyncIterator[Callable[[], Awaitable[Server]]]:
    """Return a function that starts the server of this test."""
    from chatproject.asgi import application
    from messaging.gateway.server import build_server

    started: list[Server] = []

    async def start() -> Server:
        await runtime.start(runtime.ALL_ROLES)
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        server = build_server(application, host="127.0.0.1", port=port, limits=container.limits())
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await server.listening.wait()

        async def end() -> None:
            if not server.should_exit:
                server.should_exit = True
                await serving
                await runtime.stop()

        started.append(Server(port, end))
        return started[-1]

    yield start
    for server in started:
        await server.stop()


@pytest.fixture
async def server(start_server: Callable[[], Awaitable[Server]]) -> Server:
    return await start_server()


def conv_ref(conversation: Any) -> str:
    return ids.conversation_ref(conversation.id)


__all__ = ["Client", "Server", "conv_ref", "settings"]
