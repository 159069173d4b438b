"""A small site on this machine: pages that tests write, and pages that mean harm."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest

from messaging.domain.limits import Limits
from messaging.previews.fetching import Fetcher

PAGE: Final = b"""<!doctype html><html><head><title>A title</title>
<meta name="description" content="What it is about"></head><body>Hello</body></html>"""

Answer = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """Serves what is in ``pages``: HTML, or a function that answers. ``asked``: what was asked for, and how."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes | Answer] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.ended = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                page = site.pages.get(self.path)
                if page is None:
                    self.send_error(404)
                elif isinstance(page, bytes):
                    send(self, page)
                else:
                    page(self)

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: Any) -> None:
                """A client that has seen enough hangs up."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.address}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def fetcher(self, **more: Any) -> Fetcher:
        """Return a fetcher that may come here."""
        return Fetcher(limits=Limits(), exempt=[self.address], **more)

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def close(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def send(
    handler: BaseHTTPRequestHandler, body: bytes, content_type: str = "text/html; charset=utf-8", **headers: str
) -> None:
    """Answer with a whole body."""
    handler.send_response(200)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def answering(body: bytes, content_type: str = "text/html; charset=utf-8", **headers: str) -> Answer:
    """Return an answer that is always the same."""
    return lambda handler: send(handler, body, content_type, **headers)


def leading(to: str, status: int = 302) -> Answer:
    """Return a redirect."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def bomb() -> Answer:
    """Return an answer of some hundred kilobytes that unpacks to hundreds of megabytes."""
    head = b"<html><head><title>Boom</title>"
    packed = gzip.compress(head + bytes(1024 * 1024) * 300, compresslevel=9)
    return answering(packed, Content_Encoding="gzip")


def endless(site: Site, chunk: bytes, *, pause_s: float = 0.0) -> Answer:
    """Return an answer that does not end, and whose length nobody knows."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Connection", "close")
        handler.end_headers()
        try:
            handler.wfile.write(b"<html><head><title>Endless</title>")
            while not site.ended.wait(pause_s):
                handler.wfile.write(chunk)
        except OSError:
            handler.close_connection = True

    return answer


def free_address() -> str:
    """Return an address of this machine at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"
