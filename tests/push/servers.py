"""Local servers that speak the providers' protocols, each in a thread: they check what they get, and fail on demand."""

import asyncio
import contextlib
import datetime
import ipaddress
import json
import secrets
import ssl
import threading
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import http_ece
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from hyperframe.frame import GoAwayFrame

from push.providers.http2 import tls_context
from push.vapid import private_key, public_key


@dataclass
class Answer:
    """What a server says next. ``delay_s``: after so long; ``hang_up``: nothing at all."""

    status: int = 200
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    hang_up: bool = False


@dataclass
class Got:
    """A push that arrived whole and well-formed."""

    token: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float


class Recorder:
    """What arrived, and what is to be answered: per token, then for everybody, then 200."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answers: dict[str, deque[Answer]] = defaultdict(deque)
        self.always: Answer | None = None
        self.arrived = threading.Condition()

    def script(self, token: str, *answers: Answer) -> None:
        """Answer the next requests for ``token`` so."""
        self.answers[token].extend(answers)

    def record(self, token: str, headers: dict[str, str], body: dict[str, Any]) -> None:
        with self.arrived:
            self.got.append(Got(token, headers, body, time.time()))
            self.arrived.notify_all()

    def answer(self, token: str) -> Answer:
        if self.answers[token]:
            return self.answers[token].popleft()
        return self.always or Answer()

    def wait(self, count: int, timeout_s: float = 10.0) -> list[Got]:
        """Return what arrived once there is as much."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.got) >= count, timeout_s), f"{len(self.got)} of {count}"
            return list(self.got)


# --- APNs ---------------------------------------------------------------------------------------------


def ec_pem() -> tuple[str, ec.EllipticCurvePublicKey]:
    """Return a signing key as Apple gives it (.p8), and its public half."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode(), key.public_key()


def certificate(folder: Path) -> tuple[Path, Path]:
    """Return the files of a certificate for 127.0.0.1 and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


class ApnsServer(Recorder):
    """Apple's side: HTTP/2 over TLS only, with its checks in its order. ``rejected`` counts bad provider tokens."""

    def __init__(self, folder: Path, *, team_id: str, key_id: str, key: ec.EllipticCurvePublicKey) -> None:
        super().__init__()
        self.team_id, self.key_id, self.key = team_id, key_id, key
        self.topics = {"org.example.chat"}
        self.connections = 0
        self.tokens: set[str] = set()
        self.most_at_once = 0
        #: Say goodbye (GOAWAY) and close after so many requests of a connection.
        self.goaway_after: int | None = None
        #: Requests that may be under way on a connection.
        self.max_streams = 1_000
        #: Take so many requests of the first connection, and say goodbye without a look at what follows them.
        self.deaf_after: int | None = None
        cert_file, key_file = certificate(folder)
        self.client_context = tls_context(str(cert_file))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(cert_file, key_file)
        self._context.set_alpn_protocols(["h2"])
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._main())

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await _H2Connection(self, reader, writer).serve()
            writer.transport.abort()
            tasks.discard(task)

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def check(self, headers: dict[str, str], body: bytes) -> Answer | None:
        """Return the refusal that Apple would give; None for a good request."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme != "bearer":
            return Answer(403, "MissingProviderToken")
        try:
            claims = jwt.decode(token, self.key, algorithms=["ES256"], issuer=self.team_id)
        except jwt.PyJWTError:
            return Answer(403, "InvalidProviderToken")
        if jwt.get_unverified_header(token).get("kid") != self.key_id:
            return Answer(403, "InvalidProviderToken")
        if not -60 < time.time() - claims["iat"] < 3600:
            return Answer(403, "ExpiredProviderToken")
        self.tokens.add(token)
        if headers.get("apns-topic") not in self.topics:
            return Answer(400, "TopicDisallowed")
        if len(headers.get("apns-collapse-id", "").encode()) > 64:
            return Answer(400, "BadCollapseId")
        if headers.get("apns-priority") not in ("1", "5", "10"):
            return Answer(400, "BadPriority")
        if len(body) > 4096:
            return Answer(413, "PayloadTooLarge")
        if not headers[":path"].startswith("/3/device/"):
            return Answer(404, "BadPath")
        return None


class _H2Connection:
    def __init__(self, server: ApnsServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self._h2 = h2.connection.H2Connection(config)
        self._streams: dict[int, tuple[dict[str, str], bytearray]] = {}
        self._later: set[asyncio.Task[None]] = set()
        self._served = 0

    async def serve(self) -> None:
        try:
            await self._serve()
        finally:
            for task in self._later:
                task.cancel()
            await asyncio.gather(*self._later, return_exceptions=True)

    async def _serve(self) -> None:
        self._server.connections += 1
        self._number = self._server.connections
        values = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: self._server.max_streams}
        self._h2.local_settings = h2.settings.Settings(client=False, initial_values=values)
        self._h2.initiate_connection()
        self._flush()
        while data := await self._reader.read(65_536):
            for event in self._h2.receive_data(data):
                self._handle(event)
            self._flush()
            if self._server.goaway_after is not None and self._served >= self._server.goaway_after:
                self._h2.close_connection()
                self._flush()
                await self._writer.drain()
                return

    def _handle(self, event: Any) -> None:
        match event:
            case h2.events.RequestReceived():
                headers = {str(name): str(value) for name, value in event.headers}
                self._streams[event.stream_id] = (headers, bytearray())
                self._server.most_at_once = max(self._server.most_at_once, len(self._streams))
            case h2.events.DataReceived():
                self._streams[event.stream_id][1].extend(event.data)
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self._served += 1
                self._respond(event.stream_id)
            case h2.events.StreamReset():
                self._streams.pop(event.stream_id, None)

    def _respond(self, stream: int) -> None:
        deaf = self._server.deaf_after
        if deaf is not None and self._number == 1 and self._served > deaf:
            self._streams.pop(stream)
            if self._served == deaf + 1:
                # Not by h2, which would let nothing out any more; what is under way is still answered.
                self._writer.write(GoAwayFrame(0, last_stream_id=stream - 2, error_code=0).serialize())
            return
        headers, body = self._streams[stream]
        token = headers[":path"].rpartition("/")[2]
        refusal = self._server.check(headers, bytes(body))
        if refusal is None:
            self._server.record(token, headers, json.loads(body))
        answer = refusal or self._server.answer(token)
        if answer.delay_s:
            task = asyncio.get_running_loop().create_task(self._respond_later(stream, answer))
            self._later.add(task)
            task.add_done_callback(self._later.discard)
        else:
            self._write(stream, answer)

    async def _respond_later(self, stream: int, answer: Answer) -> None:
        await asyncio.sleep(answer.delay_s)
        with contextlib.suppress(h2.exceptions.ProtocolError):
            self._write(stream, answer)
            self._flush()

    def _write(self, stream: int, answer: Answer) -> None:
        if answer.hang_up:
            self._writer.transport.abort()
            return
        self._streams.pop(stream, None)
        headers = [(":status", str(answer.status)), ("apns-id", secrets.token_hex(8)), *answer.headers.items()]
        body = json.dumps({"reason": answer.reason}).encode() if answer.reason else b""
        self._h2.send_headers(stream, headers, end_stream=not body)
        if body:
            self._h2.send_data(stream, body, end_stream=True)

    def _flush(self) -> None:
        self._writer.write(self._h2.data_to_send())


# --- HTTP/1.1 -----------------------------------------------------------------------------------------


class _HttpServer(Recorder):
    """A recorder behind a plain HTTP server."""

    def __init__(self) -> None:
        super().__init__()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer, payload = outer.handle(self.path, headers, body)
                if answer.delay_s:
                    time.sleep(answer.delay_s)
                if answer.hang_up:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def handle(self, path: str, headers: dict[str, str], body: bytes) -> tuple[Answer, bytes]:
        raise NotImplementedError

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class FcmServer(_HttpServer):
    """Google's side: an OAuth endpoint for service accounts, and FCM v1."""

    ERRORS = {
        "UNREGISTERED": (404, "NOT_FOUND"),
        "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED"),
        "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT"),
        "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED"),
        "UNAVAILABLE": (503, "UNAVAILABLE"),
        "INTERNAL": (500, "INTERNAL"),
    }

    def __init__(self) -> None:
        super().__init__()
        key = rsa.generate_private_key(65537, 2048)
        self._key = key.public_key()
        self._pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        self._access = secrets.token_urlsafe(12)
        self.logins = 0

    def credentials(self, folder: Path) -> Path:
        """Return the file of a service account that this server knows."""
        file = folder / "service-account.json"
        file.write_text(
            json.dumps(
                {
                    "type": "service_account",
                    "project_id": "chat-tests",
                    "private_key_id": "1",
                    "private_key": self._pem,
                    "client_email": "push@chat-tests.example",
                    "client_id": "1",
                    "token_uri": f"{self.url}/token",
                }
            )
        )
        return file

    def error(self, code: str, **headers: str) -> Answer:
        return Answer(self.ERRORS[code][0], code, headers)

    def handle(self, path: str, headers: dict[str, str], body: bytes) -> tuple[Answer, bytes]:
        if path == "/token":
            assertion = parse_qs(body.decode())["assertion"][0]
            # Google's own address, wherever the endpoint is.
            jwt.decode(assertion, self._key, algorithms=["RS256"], audience="https://oauth2.googleapis.com/token")
            self.logins += 1
            token = {"access_token": self._access, "expires_in": 3600, "token_type": "Bearer"}
            return Answer(headers={"Content-Type": "application/json"}), json.dumps(token).encode()
        if headers.get("authorization") != f"Bearer {self._access}":
            return Answer(401), b"{}"
        assert path == "/v1/projects/chat-tests/messages:send"
        message = json.loads(body)["message"]
        token = message["token"]
        answer = self.answer(token)
        if answer.status == 200:
            self.record(token, headers, message)
            return answer, json.dumps({"name": f"projects/chat-tests/messages/{secrets.token_hex(4)}"}).encode()
        detail = {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": answer.reason}
        error = {"code": answer.status, "message": "no", "status": self.ERRORS[answer.reason][1], "details": [detail]}
        return answer, json.dumps({"error": error}).encode()


class Browser:
    """A browser's subscription: it alone can read what is sent to its endpoint."""

    def __init__(self, service: "PushService") -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        self._auth = secrets.token_bytes(16)
        self.id = secrets.token_hex(8)
        self.endpoint = f"{service.url}/push/{self.id}"
        point = self._private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        self.keys = {"p256dh": _text(point), "auth": _text(self._auth)}

    def read(self, encrypted: bytes) -> dict[str, Any]:
        plain = http_ece.decrypt(encrypted, private_key=self._private, auth_secret=self._auth, version="aes128gcm")
        found: dict[str, Any] = json.loads(plain)
        return found


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


class PushService(_HttpServer):
    """A browser maker's side: endpoints, VAPID checked, and what arrives decrypted as the browser would."""

    def __init__(self, vapid_private_key: str) -> None:
        super().__init__()
        self._vapid = vapid_private_key
        self._browsers: dict[str, Browser] = {}

    def browser(self) -> Browser:
        """Return a new subscription."""
        browser = Browser(self)
        self._browsers[browser.id] = browser
        return browser

    def handle(self, path: str, headers: dict[str, str], body: bytes) -> tuple[Answer, bytes]:
        token = path.rpartition("/")[2]
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        try:
            assert (scheme, parts["k"]) == ("vapid", public_key(self._vapid))
            key = private_key(self._vapid).public_key()
            claims = jwt.decode(parts["t"], key, algorithms=["ES256"], audience=self.url)
            assert claims["sub"].startswith("mailto:")
            assert claims["exp"] - time.time() < 24 * 3600
        except (AssertionError, KeyError, jwt.PyJWTError):
            return Answer(403), b""
        if token not in self._browsers:
            return Answer(404), b""
        if len(urlsafe_b64decode(headers["topic"])) > 32 or int(headers["ttl"]) < 0 or len(body) > 4096:
            return Answer(400), b""
        answer = self.answer(token)
        if answer.status == 200 and not answer.hang_up:
            self.record(token, headers, self._browsers[token].read(body))
            answer = replace(answer, status=201)
        return answer, b""


@contextlib.contextmanager
def closing(make: Callable[[], Any]) -> Iterator[Any]:
    """Give a server, and close it."""
    server = make()
    try:
        yield server
    finally:
        server.close()
