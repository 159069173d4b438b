"""Uvicorn as a pod runs it: its settings, and what ASGI lacks: an abort, and a write that does not wait.

See docs/decisions/0002.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from messaging.domain.errors import CloseCode
from messaging.domain.limits import Limits
from messaging.gateway.consumer import SOCKET_EXTENSION

#: How long a socket that violated the protocol may still push bytes, which are dropped.
_LINGER_S = 2.0


class PodWebSocketProtocol(WebSocketsSansIOProtocol):
    """Adds to each scope what ASGI lacks: dropping a connection whose buffer never empties, and writing at once."""

    def handle_connect(self, event: Request) -> None:
        """Start the application with the extension in its scope."""
        super().handle_connect(event)
        scope: Any = getattr(self, "scope", None)
        if scope is not None:
            # The application's task was created just now and has not run yet.
            scope["extensions"][SOCKET_EXTENSION] = {"abort": self.transport.abort, "write": self.write}

    def write(self, frame: bytes) -> bool:
        """Write a whole, unmasked WebSocket frame; return False where ``send`` would wait or fail.

        Nothing of the library's state depends on what is written between two control frames, and without
        compression a frame has the same bytes for everybody.
        """
        if not self.handshake_complete or self.close_sent or self.transport.is_closing() or not self.writable.is_set():
            return False
        self.transport.write(frame)
        return True

    def send_receive_event_to_app(self) -> None:
        """Hand a whole message to the application; end a connection whose text is not UTF-8.

        Uvicorn does so, too, but with a traceback in the log for each, which is the client's to write.
        """
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.send_close(CloseCode.NOT_UTF8)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        """Say why the socket is closed, then listen on for a moment.

        Closing with unread bytes makes the kernel reset the connection, and the client of an oversized frame would
        never see the 1009 that explains it.
        """
        if self.close_sent:
            return
        self.close_sent = True
        closing = self.conn.close_sent
        code, reason = (closing.code, closing.reason) if closing is not None else (1006, "")
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(_LINGER_S, self.transport.close)


class PodServer(uvicorn.Server):
    """A server whose signals are its owner's business: the pod drains before the server stops."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        #: Set once the server listens.
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets=sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signal handlers alone."""
        yield

    async def stop_accepting(self) -> None:
        """Close the listening sockets; open connections go on."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)


def build_server(app: Any, *, host: str, port: int, limits: Limits) -> PodServer:
    """Return a server for one pod, not yet started."""
    return PodServer(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http="httptools",
            ws=PodWebSocketProtocol,
            loop="none",
            lifespan="off",
            ws_max_size=limits.max_socket_frame_bytes,
            # The protocol has its own ping, which clients send: half the timers, and it works through any proxy.
            ws_ping_interval=None,
            ws_ping_timeout=None,
            # Measured: deflate costs a window per connection and gains little on small frames.
            ws_per_message_deflate=False,
            access_log=False,
            log_config=None,
            backlog=16_384,
            timeout_keep_alive=20,
            timeout_graceful_shutdown=5,
            server_header=False,
            proxy_headers=False,
        )
    )
