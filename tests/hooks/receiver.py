"""A receiver of events on a real socket: checks each signature by itself, and fails on demand."""

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Answer:
    """What it says next. ``delay_s``: after so long; ``hang_up``: nothing at all."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    hang_up: bool = False


class Receiver:
    """Takes what is sent to ``url``; ``answers`` are given in turn, then ``always``."""

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        self.secret = ""
        self.got: list[dict[str, Any]] = []
        self.ids: list[str] = []
        #: Requests whose signature is not right.
        self.forged = 0
        #: Set once anything came.
        self.arrived = threading.Event()
        self.answers: deque[Answer] = deque()
        self.always = Answer()
        #: By the conversation of an event, before all others.
        self.of_conversation: dict[str, Answer] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
                time.sleep(answer.delay_s)
                if answer.hang_up:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in {**answer.headers, "Content-Length": "2"}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: Any) -> None:
                """Whoever went away is gone."""

        self._server = Server(("127.0.0.1", 0), Handler)
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}/events"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def take(self, headers: dict[str, str], body: bytes) -> Answer:
        said = json.loads(body)
        event, stamp = headers["webhook-id"], headers["webhook-timestamp"]
        key = base64.b64decode(self.secret.split("_", 1)[1])
        signed = hmac.new(key, f"{event}.{stamp}.".encode() + body, hashlib.sha256).digest()
        if headers["webhook-signature"] != f"v1,{base64.b64encode(signed).decode()}" or event != said["id"]:
            self.forged += 1
            return Answer(401)
        assert abs(int(stamp) - time.time()) < 60
        self.got.append(said)
        self.ids.append(event)
        self.arrived.set()
        if said.get("conv") in self.of_conversation:
            return self.of_conversation[said["conv"]]
        return self.answers.popleft() if self.answers else self.always

    def types(self) -> list[str]:
        return [it["type"] for it in self.got]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
