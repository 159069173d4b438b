"""An HTTP/2 client for one host: all requests share one connection, which is opened again when it ends.

On the h2 library, without a general client around it: httpx took seven times the processor time for a push
(docs/decisions/0029). What is here is what a push needs: a short body there, a short one back.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
from hpack import Encoder, HeaderTuple, NeverIndexedHeaderTuple

#: Of a response's body, more than a provider ever says.
_MAX_BODY_BYTES: Final = 64 * 1024
#: Stream numbers end at 2^31; a connection this old is left for a fresh one.
_LAST_STREAM: Final = 1 << 30
_WINDOW_BYTES: Final = 1 << 24
_GOODBYE_S: Final = 1.0

Headers = Sequence[tuple[str, str] | HeaderTuple]


@dataclass(slots=True)
class Response:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class ConnectionEnded(OSError):
    """The connection ended before the answer was complete; the request may have been served."""


class NotServed(ConnectionEnded):
    """The other side said that it did not look at the request: it may be sent again without harm."""


class _H2(h2.connection.H2Connection):
    """h2, for which a goodbye (GOAWAY) is the end, though what is under way is still answered (RFC 9113, 6.8)."""

    def _receive_goaway_frame(self, frame: Any) -> Any:
        state = self.state_machine.state
        received = super()._receive_goaway_frame(frame)
        self.state_machine.state = state
        return received


class _Encoder(Encoder):
    """Header compression without Huffman's code, which in Python costs more than the bytes that it saves."""

    def encode(self, headers: Any, huffman: bool = False) -> bytes:
        return super().encode(headers, huffman)


class _Connection(asyncio.Protocol):
    """One connection. Its writes of one turn of the loop leave together."""

    def __init__(self) -> None:
        # Names are lower-case and values clean already: looking through them for each push took a tenth of its time.
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self._h2 = _H2(config)
        self._h2.encoder = _Encoder()
        values = {
            h2.settings.SettingCodes.ENABLE_PUSH: 0,
            h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 100,
            h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: _MAX_BODY_BYTES,
        }
        self._h2.local_settings = h2.settings.Settings(client=True, initial_values=values)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._streams: dict[int, tuple[Response, asyncio.Future[Response]]] = {}
        #: Who waits for a stream, or for room in the other side's window, in order.
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._flushing = False
        #: No new requests: it is over, or will be.
        self.ended = False
        #: Set once the other side has said how much it takes at once, or is gone.
        self.ready = asyncio.Event()
        #: Set once the socket is closed.
        self.lost = asyncio.Event()

    # --- asyncio ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW_BYTES)
        self._flush()

    def data_received(self, data: bytes) -> None:
        try:
            events = self._h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            self._end(ConnectionEnded(f"protocol: {type(error).__name__}"))
            return
        for event in events:
            self._on(event)
        self._flush()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._end(ConnectionEnded(type(error).__name__ if error is not None else "closed"))
        self.ready.set()
        self.lost.set()

    # --- events -------------------------------------------------------------------------------------

    def _on(self, event: Any) -> None:
        match event:
            case h2.events.RemoteSettingsChanged():
                self.ready.set()
            case h2.events.ResponseReceived() if event.stream_id in self._streams:
                response = self._streams[event.stream_id][0]
                response.headers = {str(name): str(value) for name, value in event.headers}
                response.status = int(response.headers.get(":status", "0"))
            case h2.events.DataReceived():
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if event.stream_id in self._streams:
                    response = self._streams[event.stream_id][0]
                    response.body = (response.body + event.data)[:_MAX_BODY_BYTES]
            case h2.events.StreamEnded():
                self._answer(event.stream_id, None)
            case h2.events.StreamReset():
                refused = event.error_code == h2.errors.ErrorCodes.REFUSED_STREAM
                self._answer(event.stream_id, NotServed("refused") if refused else ConnectionEnded("reset"))
            case h2.events.ConnectionTerminated():
                self.ended = True
                last = event.last_stream_id or 0
                for stream in [stream for stream in self._streams if stream > last]:
                    self._answer(stream, NotServed("goaway"))
                if not self._streams:
                    self.close()

    def _answer(self, stream: int, failure: Exception | None) -> None:
        response, future = self._streams.pop(stream, (None, None))
        if future is None or response is None or future.done():
            return
        if failure is not None:
            future.set_exception(failure)
        else:
            future.set_result(response)
        if self.ended and not self._streams:
            self.close()

    def _end(self, failure: Exception) -> None:
        self.ended = True
        for stream in list(self._streams):
            self._answer(stream, failure)
        self._wake(everybody=True)
        self.close()

    # --- requests -----------------------------------------------------------------------------------

    async def request(self, headers: Headers, body: bytes) -> Response:
        """Send one request and return its answer. Raises ConnectionEnded."""
        while not self.ended and not self._has_room(len(body)):
            place: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append(place)
            await place
        if self.ended:
            raise NotServed("ended")
        stream = self._h2.get_next_available_stream_id()
        if stream >= _LAST_STREAM:
            self.ended = True
        answer: asyncio.Future[Response] = self._loop.create_future()
        self._streams[stream] = (Response(), answer)
        self._h2.send_headers(stream, headers)
        self._h2.send_data(stream, body, end_stream=True)
        self._flush_soon()
        try:
            return await answer
        except asyncio.CancelledError:
            if self._streams.pop(stream, None) is not None and not self.ended:
                with contextlib.suppress(h2.exceptions.ProtocolError):
                    self._h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
                self._flush_soon()
                self._wake()
            raise

    def _has_room(self, size: int) -> bool:
        remote = self._h2.remote_settings
        if len(self._streams) >= min(remote.max_concurrent_streams, 1_000):
            return False
        return self._h2.outbound_flow_control_window >= size and remote.initial_window_size >= size

    def _wake(self, *, everybody: bool = False) -> None:
        while self._waiting and (everybody or self._has_room(4096)):
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                if not everybody:
                    # It takes its room when it runs; whoever is behind it hears of the next answer.
                    self._loop.call_soon(self._wake)
                    return

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        data = self._h2.data_to_send()
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """End it; what has no answer yet fails."""
        self.ended = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    async def closed(self) -> None:
        """End it, and return once the socket is closed; where the other side does not say goodbye, without it."""
        self.close()
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await self.lost.wait()
        except TimeoutError:
            assert self._transport is not None
            self._transport.abort()
            await self.lost.wait()


class Http2Client:
    """See the module. Used on one event loop. ``request`` may be called by many at a time."""

    def __init__(self, host: str, port: int, *, context: ssl.SSLContext, timeout_s: float) -> None:
        self._host = host
        self._port = port
        self._context = context
        self._timeout_s = timeout_s
        self._authority = host if port == 443 else f"{host}:{port}"
        self._connection: _Connection | None = None
        #: The one in use, and those before it that are not closed yet.
        self._open_ones: list[_Connection] = []
        self._connecting = asyncio.Lock()

    async def post(self, path: str, headers: Headers, body: bytes) -> Response:
        """Send one request and return its answer.

        A request that the other side did not look at is sent once more, on a fresh connection.

        Raises:
            TimeoutError: no answer in time.
            OSError: no connection, or it ended (ConnectionEnded).
        """
        # What differs from push to push stays out of the compression's table, where it would drive out what does not.
        whole: Headers = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", self._authority),
            NeverIndexedHeaderTuple(":path", path),
            *headers,
            NeverIndexedHeaderTuple("content-length", str(len(body))),
        ]
        async with asyncio.timeout(self._timeout_s):
            try:
                return await (await self._open()).request(whole, body)
            except NotServed:
                return await (await self._open()).request(whole, body)

    async def _open(self) -> _Connection:
        async with self._connecting:
            if self._connection is None or self._connection.ended:
                loop = asyncio.get_running_loop()
                transport, connection = await loop.create_connection(
                    _Connection, self._host, self._port, ssl=self._context, server_hostname=self._host
                )
                self._open_ones = [one for one in self._open_ones if not one.lost.is_set()] + [connection]
                chosen = transport.get_extra_info("ssl_object").selected_alpn_protocol()
                if chosen != "h2":
                    connection.close()
                    raise ConnectionEnded("no HTTP/2")
                await connection.ready.wait()
                self._connection = connection
            return self._connection

    async def close(self) -> None:
        """Return once all is closed; what has no answer yet fails."""
        await asyncio.gather(*(one.closed() for one in self._open_ones))


def tls_context(cafile: str | None = None) -> ssl.SSLContext:
    """Return what verifies the other side, by the system's authorities or those in a file, and wants HTTP/2."""
    context = ssl.create_default_context(cafile=cafile)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    return context
