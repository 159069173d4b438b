"""The door of the hot path: a consumer per socket that decodes, asks the state machine and performs its effects.

It has no channel of its own (``channel_layer_alias = None``) and does not use Channels' dispatch loop:
that one hops to a thread for every frame and keeps two tasks per socket (docs/decisions/0002).
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from math import inf
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from asgiref.typing import WebSocketScope
from channels.consumer import AsyncConsumer
from django.conf import settings
from opentelemetry.trace import Span
from prometheus_client import Counter, Histogram

from accounts.models import Device
from accounts.selectors.credentials import AUTH_FAILURES, device_for_session
from accounts.services.suspension import close_reason, refuse_suspended
from chatproject import container
from messaging import log_context, tracing
from messaging.domain import connection as machine
from messaging.domain import frames, ids
from messaging.domain.connection import Connection, State, error_reply
from messaging.domain.errors import Blocked, ChatError, CloseCode, Suspended, Unauthenticated, Unavailable
from messaging.domain.ids import ConversationId, DeviceId, Mark, MessageId, UserId
from messaging.domain.mentions import EVERYBODY
from messaging.domain.messages import MemberChangeKind, MessageChangeKind
from messaging.gateway.outbox import Encoded, Outbox
from messaging.gateway.pod import TYPING_DROPPED, Pod
from messaging.gateway.tails import ON_ITS_WAY_S
from messaging.media.services import attach
from messaging.ports import Draft, NewRecord, Position, PositionUnknown
from messaging.protocol import codec as codecs
from messaging.selectors import history
from messaging.selectors.device_marks import kept_marks
from messaging.services import changes
from messaging.services import send as sending
from messaging.services.device_marks import keep_marks

logger = logging.getLogger(__name__)

FRAMES = Counter("chat_frames_received_total", "Frames received from clients.")
CLOSED = Counter("chat_connections_closed_total", "Sockets that the server closed, by code.", ["code"])
REFUSED = Counter("chat_frames_refused_total", "Frames answered with an error, by code.", ["code"])
SEND_TO_ACK = Histogram(
    "chat_send_to_ack_seconds",
    "From reading a send to queueing its ack.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
BACKFILL_MESSAGES = Histogram(
    "chat_backfill_messages", "Messages of one backfill.", buckets=(1, 2, 5, 10, 25, 50, 100, 200)
)
BACKFILL_MORE = Counter("chat_backfills_truncated_total", "Backfills that left older messages out (`more`).")
SYNC_BACKFILLS = Histogram(
    "chat_sync_backfills", "Backfills that answered one sync.", buckets=(0, 1, 2, 5, 10, 20, 50, 100, 500)
)
SYNCS = Counter(
    "chat_syncs_total",
    "Syncs answered, by what was asked: where the named conversations end (ends), what was written there meanwhile "
    "(written), whether there are others with news (unnamed), or all of the user's (all).",
    ["what"],
)

#: A heartbeat that lacks nothing in what it names is asked for what it does not name once in so many seconds.
_ALL_S = 90.0
#: What the log takes, and an ``ack`` answers.
_Acked = frames.Send | frames.Edit | frames.Delete | frames.React | frames.Pin

_KINDS: Final[dict[type[_Acked], MemberChangeKind]] = {
    frames.Edit: MessageChangeKind.EDIT,
    frames.Delete: MessageChangeKind.DELETE,
    frames.React: MessageChangeKind.REACT,
    frames.Pin: MessageChangeKind.PIN,
}

#: Set by the gateway's own protocol class: ``abort`` ends a socket whose peer does not read, and ``write`` writes a
#: WebSocket frame at once, or returns False where it would have to wait.
SOCKET_EXTENSION = "chat.socket"


_NOTHING: dict[ConversationId, Mark] = {}


class Socket:
    """One live socket: its state machine, its outbox, and how to close it."""

    __slots__ = (
        "_abort",
        "_closing",
        "_send",
        "asked_all",
        "conn",
        "connection",
        "inflight",
        "kept",
        "outbox",
        "puts_off",
        "room",
        "watching",
    )

    def __init__(
        self,
        *,
        send: Callable[[Any], Awaitable[None]],
        abort: Callable[[], None] | None,
        codec: codecs.Codec,
        pod: Pod,
        write: Callable[[bytes], bool] | None = None,
    ) -> None:
        self._send = send
        self._abort = abort
        self._closing: asyncio.Task[None] | None = None
        self.conn = secrets.token_urlsafe(9)
        self.connection = Connection(limits=pod.limits, now=pod.clock.monotonic())
        self.outbox = Outbox(send, codec=codec, limits=pod.limits, on_too_slow=self._too_slow, write_now=write)
        #: Sends that wait for the log, and the event that is set while there is room for more.
        self.inflight = 0
        self.room: asyncio.Event | None = None
        #: The marks that were remembered for the device last, at most those of one ``sync``.
        self.kept: dict[ConversationId, Mark] = _NOTHING
        #: When (monotonic) it was last answered from all conversations of its user.
        self.asked_all = -inf
        #: Whether a heartbeat waits for its answer, as what it lacked seemed to be on its way.
        self.puts_off = False
        #: Users whose presence this socket watches.
        self.watching: frozenset[UserId] = frozenset()

    def log_fields(self) -> dict[str, str]:
        """Return what a log line about this socket names."""
        known = {"conn": self.conn}
        if self.connection.user:
            known |= {"user": ids.user_ref(self.connection.user), "device": ids.device_ref(self.connection.device)}
        return known

    def put(self, frame: frames.ServerFrame) -> None:
        """Queue a frame for this socket alone."""
        self.outbox.put(Encoded(frame))

    def close(self, code: int, reason: str) -> None:
        """Write what is queued, then close; returns at once. Idempotent."""
        if self._closing is None:
            CLOSED.labels(int(code)).inc()
            self.connection.closed()
            self._closing = asyncio.get_running_loop().create_task(self._close(code, reason))

    async def _close(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(2.0):
                await self.outbox.flush(timeout_s=1.0)
                self.outbox.close()
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except (TimeoutError, OSError, RuntimeError):
            if self._abort is not None:
                self._abort()

    def _too_slow(self) -> None:
        # The transport is full of what the peer does not read, so a close frame could never leave.
        logger.info("connection %s does not read; closing", self.conn)
        self.close(CloseCode.TRY_AGAIN_LATER, "too slow; reconnect and sync")


@dataclass(frozen=True, slots=True)
class _Judged:
    """A text that moderators are to look at, and the rules that want it."""

    draft: Draft
    rules: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Sending:
    """What waits for the log: a frame, what is appended, since when (pod's clock), and until when (loop's)."""

    frame: _Acked
    conversation: ConversationId
    record: NewRecord
    started: float
    deadline: float
    judged: "_Judged | None" = None
    #: Of a change, what it is about.
    target: MessageId | None = None


class ChatConsumer(AsyncConsumer):  # type: ignore[misc]  # channels has no types
    """Terminates one WebSocket at ``/ws`` (design sections 5 and 6)."""

    channel_layer_alias = None

    def __init__(self, *, pod: Callable[[], Awaitable[Pod]]) -> None:
        self._pod_of_process = pod
        self._screener = container.screener()

    async def __call__(
        self,
        scope: WebSocketScope,
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Serve the socket until either side closes it."""
        if scope["path"].rstrip("/") != "/ws":
            await receive()
            await send({"type": "websocket.close", "code": CloseCode.PROTOCOL_VIOLATION})
            return
        self.pod = await self._pod_of_process()
        message = await receive()
        if message["type"] != "websocket.connect":
            return
        handshake = Handshake(scope)
        if self.pod.draining:
            await send({"type": "websocket.close", "code": CloseCode.TRY_AGAIN_LATER})
            return
        if handshake.uses_cookie and not _origin_allowed(scope, handshake.origin):
            # Refused before it is accepted: another site's page learns nothing but a 403.
            await send({"type": "websocket.close", "code": CloseCode.FORBIDDEN_ORIGIN})
            return
        extensions: dict[str, Any] = dict(scope.get("extensions") or {})
        ours = extensions.get(SOCKET_EXTENSION, {})
        self.socket = Socket(
            send=send, abort=ours.get("abort"), codec=handshake.codec, pod=self.pod, write=ours.get("write")
        )
        log_context.about(self.socket)
        await send({"type": "websocket.accept", "subprotocol": handshake.accepted})
        self.pod.opened(self.socket)
        try:
            if handshake.token is not None:
                self.socket.connection.presented()
                await self._authenticate(self._device_of_token(handshake.token))
            elif handshake.session_key is not None:
                self.socket.connection.presented()
                await self._authenticate(
                    self.pod.database.run(device_for_session, handshake.session_key, user_agent=handshake.user_agent)
                )
            await self._read(receive)
        finally:
            self.socket.connection.closed()
            self.socket.outbox.close()
            self.pod.gone(self.socket)

    async def _read(self, receive: Callable[[], Awaitable[Any]]) -> None:
        limits = self.pod.limits
        socket = self.socket
        decode = socket.outbox.codec.decode
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            FRAMES.inc()
            data = message.get("text")
            if data is None:
                data = message["bytes"]
            try:
                codecs.check_size(data, max_bytes=limits.max_frame_bytes)
                frame = decode(data)
            except ChatError as error:
                socket.connection.last_heard = self.pod.clock.monotonic()
                self._refuse(error)
                continue
            effects = socket.connection.receive(frame, self.pod.clock.monotonic())
            if not effects and isinstance(frame, frames.Typing):
                TYPING_DROPPED.labels("rate").inc()
            for effect in effects:
                try:
                    await self._perform(effect)
                except Exception as error:
                    self._failed(error, type(frame).__name__.lower(), frame)

    def _failed(self, error: Exception, op: str, frame: frames.ClientFrame | None = None) -> None:
        """Answer a frame that could not be done. One that fails (a database that is away) must not cost the socket."""
        if not isinstance(error, ChatError):
            logger.error("a %s frame failed", op, exc_info=error)
            error = Unavailable("try again", retry_after=1.0)
        self._refuse(error, frame)

    def _refuse(self, error: ChatError, frame: frames.ClientFrame | None = None) -> None:
        REFUSED.labels(error.code).inc()
        self.socket.put(error_reply(error, frame).frame)

    async def _perform(self, effect: machine.Effect) -> None:
        socket, pod = self.socket, self.pod
        match effect:
            case machine.Append():
                await self._append(effect.frame, effect.conversation)
            case machine.Alter():
                await self._alter(effect)
            case machine.SaveReceipt():
                await self._receipt(effect)
            case machine.ShowTyping():
                await pod.show_typing(socket, effect.conversation)
            case machine.Reply(frame=frames.Pong()):
                socket.put(frames.Pong(ts=pod.now_ms()))
            case machine.Reply():
                if isinstance(effect.frame, frames.Error):
                    REFUSED.labels(effect.frame.code).inc()
                socket.put(effect.frame)
            case machine.Authenticate():
                await self._authenticate(self._device_of_token(effect.token))
            case machine.Replay():
                await self._replay(effect)
            case machine.Watch():
                await pod.presence.watch(socket, effect.users)
            case machine.Close():
                socket.close(effect.code, effect.reason)

    # --- authentication ---------------------------------------------------------------------

    async def _device_of_token(self, token: str) -> Device | None:
        try:
            return await self.pod.tokens.get(token)
        except Unauthenticated:
            return None

    async def _authenticate(self, look_up: Awaitable[Device | None]) -> None:
        try:
            device = await look_up
            if device is not None:
                refuse_suspended(device.user)
        except Suspended as error:
            self._refuse(error)
            self.socket.close(CloseCode.SUSPENDED, close_reason(error))
            return
        except Exception:
            # Nobody's socket is of no use, and it could not try again: the client comes back with back-off.
            logger.exception("credentials cannot be looked up")
            self._refuse(Unavailable("credentials cannot be checked now", retry_after=1.0))
            self.socket.close(CloseCode.TRY_AGAIN_LATER, "cannot authenticate now")
            return
        if device is None or not device.is_whole:
            said = "the token or session is not valid"
            if device is not None:
                said = "the token is not good for a socket: it may not do all that its bot may"
            REFUSED.labels(Unauthenticated.code).inc()
            AUTH_FAILURES.labels("socket").inc()
            self.socket.put(error_reply(Unauthenticated(said)).frame)
            self.socket.close(CloseCode.UNAUTHENTICATED, "not authenticated")
            return
        user, is_bot = device.user, device.user.is_bot
        await self.pod.authenticated(self.socket, user=UserId(user.pk), device=DeviceId(device.id), is_bot=is_bot)

    # --- send ---------------------------------------------------------------------------------

    async def _append(self, frame: frames.Send, conversation: ConversationId) -> None:
        pod, socket = self.pod, self.socket
        user = socket.connection.user
        message = sending.validate_send(
            sender=user,
            conversation=conversation,
            msg_id=frame.msg_id,
            body=frame.body,
            media=frame.media,
            reply_to=frame.reply_to,
            forwarded=frame.forwarded_from is not None,
            mentions=frame.mentions,
            limits=pod.limits,
        )
        started = pod.clock.monotonic()
        room = pod.access.cached(user, conversation, started)
        if room is None:
            room = await pod.access.require(user, conversation, started)
        if EVERYBODY in message.mentions:
            await pod.database.run(changes.may_mention, message)
        if frame.forwarded_from is not None:
            await pod.database.run(changes.may_forward, message, frame.forwarded_from)
        judged = await self._screened(message.client_msg_id, frame.body)
        if frame.media:
            await pod.database.run(attach, message, frame.forwarded_from)
        span = tracing.begin("gateway.send", ago_s=pod.clock.monotonic() - started) if tracing.is_on() else None
        record = sending.message_record(message, hot_k=room.hot_k, trace=tracing.carried(span))
        await self._put(record, frame, conversation, started, span=span, judged=judged)

    async def _alter(self, effect: machine.Alter) -> None:
        pod, frame = self.pod, effect.frame
        user = self.socket.connection.user
        started = pod.clock.monotonic()

        change = changes.validate_change(
            _KINDS[type(frame)],
            actor=user,
            target=effect.target,
            msg_id=frame.msg_id,
            body=frame.body if isinstance(frame, frames.Edit) else "",
            emoji=frame.emoji if isinstance(frame, frames.React) else "",
            on=isinstance(frame, frames.React | frames.Pin) and frame.on,
            mentions=frame.mentions if isinstance(frame, frames.Edit) else (),
            limits=pod.limits,
        )
        # Who may write is remembered. Deleting what one wrote is allowed also to those who may not.
        known = not isinstance(frame, frames.Delete)
        if known:
            await pod.access.require(user, effect.conversation, started)
        await pod.database.run(
            changes.authorise_change, effect.conversation, change, limits=pod.limits, may_write=known
        )
        judged = None
        if isinstance(frame, frames.Edit):
            judged = await self._screened(change.client_msg_id, frame.body)
        span = tracing.begin("gateway.change", ago_s=pod.clock.monotonic() - started) if tracing.is_on() else None
        if span is not None:
            change = msgspec.structs.replace(change, trace=tracing.carried(span))
        record = sending.change_record(effect.conversation, change)
        await self._put(record, frame, effect.conversation, started, judged=judged, target=effect.target, span=span)

    async def _screened(self, client_msg_id: bytes, body: str) -> "_Judged | None":
        """Return what moderators are to look at once it is in the log.

        Raises:
            NotAccepted: a rule refuses the text. RateLimited: moderators limit how much its sender sends.

        Costs nothing where there are no rules and no limit on the sender, and a thread of the database's where there
        are: never the loop's time.
        """
        screener = self._screener
        if screener.due():
            await self.pod.database.run(screener.refresh)
        sender = self.socket.connection.user
        if screener.idle(sender):
            return None
        draft = Draft(sender, client_msg_id, body)
        rules = await self.pod.database.run(screener.screen, draft)
        return _Judged(draft, rules) if rules else None

    async def _put(
        self,
        record: NewRecord,
        frame: _Acked,
        conversation: ConversationId,
        started: float,
        *,
        span: Span | None = None,
        judged: "_Judged | None" = None,
        target: MessageId | None = None,
    ) -> None:
        """Append, and leave the ack to the callback. Waits only while too many of the socket's own are on their way."""
        pod, socket = self.pod, self.socket
        while socket.inflight >= pod.limits.max_inflight_sends:
            # Not reading on is the backpressure: TCP carries it to the client.
            if socket.room is None:
                socket.room = asyncio.Event()
            socket.room.clear()
            await socket.room.wait()
        socket.inflight += 1
        deadline = asyncio.get_running_loop().time() + sending.DELIVERY_DEADLINE_S
        it = _Sending(frame, conversation, record, started, deadline, judged, target)
        # Called here and now, in the order of the frames; only the waiting is left to the callback.
        future = asyncio.ensure_future(pod.log.append(record))
        future.add_done_callback(lambda done: self._appended(done, it))
        if span is not None:
            tracing.end_with(future, "log.append", span)

    def _appended(self, done: "asyncio.Future[Position]", it: "_Sending") -> None:
        failure = None if done.cancelled() else done.exception()
        if isinstance(failure, PositionUnknown):
            self.pod.spawn(self._finish(sending.find_stored(it.record, deadline=it.deadline), it))
            return
        if done.cancelled() or failure is not None:
            sending.RETRIES.inc()
            self.pod.spawn(self._finish(sending.append_durably(self.pod.log, it.record, deadline=it.deadline), it))
            return
        self._ack(it, sending.placed(done.result(), record=it.record))

    async def _finish(self, sending_on: Awaitable[sending.Sent], it: "_Sending") -> None:
        try:
            sent = await sending_on
        except ChatError as error:
            self._landed()
            self._refuse(error, it.frame)
        else:
            self._ack(it, sent)

    def _ack(self, it: "_Sending", sent: sending.Sent) -> None:
        self._landed()
        SEND_TO_ACK.observe(self.pod.clock.monotonic() - it.started)
        self.socket.put(frames.Ack(it.frame.msg_id, ids.server_id(it.conversation, sent.message_id), sent.ts_ms))
        if it.judged is not None:
            self.pod.spawn(self._flag(it, it.judged, it.target or sent.message_id))

    async def _flag(self, it: "_Sending", judged: _Judged, message_id: MessageId) -> None:
        await self.pod.database.run(
            self._screener.flag,
            rules=judged.rules,
            draft=judged.draft,
            conversation_id=it.conversation,
            message_id=message_id,
        )

    def _landed(self) -> None:
        self.socket.inflight -= 1
        if self.socket.room is not None:
            self.socket.room.set()

    async def _receipt(self, effect: machine.SaveReceipt) -> None:
        pod, user = self.pod, self.socket.connection.user
        now = pod.clock.monotonic()
        key = (effect.conversation, effect.message)
        if not effect.read and pod.deadlines.in_large_group(key):
            # The deadline is all that it is for: nobody is told of it, nothing kept (docs/decisions/0090).
            pod.deadlines.delivered(key, self.socket.connection.device)
            return
        try:
            if pod.access.cached(user, effect.conversation, now) is None:
                await pod.access.require(user, effect.conversation, now)
        except Blocked:
            # The two may still read what they have; the other is not told.
            return
        pod.receipts.add(effect, user=user, device=self.socket.connection.device)
        if effect.read:
            pod.deadlines.read(key, user)
        else:
            pod.deadlines.delivered(key, self.socket.connection.device)

    # --- resume -------------------------------------------------------------------------------

    async def _replay(self, effect: machine.Replay) -> None:
        socket = self.socket
        # A heartbeat repeats what was said: only what has moved is written.
        moved = {of: mark for of, mark in effect.marks.items() if socket.kept.get(of) != mark} if effect.keep else {}
        repeats = effect.resume is None and effect.marks and not moved and socket.asked_all > -inf
        if repeats and await self._lacks_nothing(effect):
            return
        await self._replay_all(effect, moved)

    async def _lacks_nothing(self, effect: machine.Replay) -> bool:
        """Answer a heartbeat that misses nothing, or later where that is on its way; return False for any other."""
        pod, socket, user = self.pod, self.socket, self.socket.connection.user
        beyond = await pod.tails.beyond(effect.marks)
        if beyond and not pod.trail.leads(user, effect.marks, beyond):
            if socket.puts_off or not pod.trail.may_come(beyond):
                return False
            socket.puts_off = True
            pod.spawn(self._look_again(effect, beyond))
            return True
        what = "written" if beyond else "ends"
        now = pod.clock.monotonic()
        if now >= socket.asked_all + _ALL_S:
            what = "unnamed"
            if await pod.database.run(history.has_unnamed, user, effect.marks):
                return False
            socket.asked_all = now
        self._synced(what)
        return True

    async def _look_again(self, effect: machine.Replay, beyond: dict[ConversationId, Mark]) -> None:
        """A moment later, say that nothing is missing if what was has been written, and look for it otherwise."""
        pod, socket = self.pod, self.socket
        await asyncio.sleep(ON_ITS_WAY_S)
        socket.puts_off = False
        if socket.connection.state is State.CLOSED:
            return
        if pod.trail.leads(socket.connection.user, effect.marks, beyond):
            self._synced("written")
            return
        try:
            await self._replay_all(effect, {})
        except Exception as error:
            self._failed(error, "sync")

    def _synced(self, what: str) -> None:
        SYNCS.labels(what).inc()
        SYNC_BACKFILLS.observe(0)
        self.socket.put(frames.Synced(convs=0))

    async def _replay_all(self, effect: machine.Replay, moved: dict[ConversationId, Mark]) -> None:
        pod, socket, limits = self.pod, self.socket, self.pod.limits
        user, device = socket.connection.user, socket.connection.device
        now = pod.clock.monotonic()
        SYNCS.labels("all").inc()

        def read() -> list[frames.Backfill]:
            marks = effect.marks
            if effect.resume is not None:
                marks = kept_marks(user, effect.resume, limits=limits) | marks
            if moved:
                keep_marks(user, device, moved)
            return history.backfill(user, marks, limits=limits)

        backfills = await pod.database.run(read)
        socket.asked_all = now
        if moved:
            socket.kept = effect.marks
        SYNC_BACKFILLS.observe(len(backfills))
        for backfill in backfills:
            BACKFILL_MESSAGES.observe(len(backfill.messages))
            if backfill.more:
                BACKFILL_MORE.inc()
            self.socket.put(backfill)
            # A long absence is more than an outbox holds: write each before the next.
            await self.socket.outbox.flush(timeout_s=10.0)
        self.socket.put(frames.Synced(convs=len(backfills)))


class Handshake:
    """What the opening request offers: subprotocol, credentials, origin."""

    def __init__(self, scope: WebSocketScope) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        offered = list(scope["subprotocols"])
        #: The first subprotocol we speak; JSON where the client names none.
        self.accepted = next((name for name in offered if name in codecs.BY_SUBPROTOCOL), None)
        self.codec = codecs.BY_SUBPROTOCOL.get(self.accepted or "", codecs.JSON)
        self.origin = headers.get(b"origin", b"").decode("latin-1") or None
        self.token = self._token(headers, offered)
        self.user_agent = headers.get(b"user-agent", b"").decode("latin-1")
        self.session_key = None if self.token is not None else self._session_key(headers)

    @property
    def uses_cookie(self) -> bool:
        """Whether the browser's own cookie authenticates, so that the Origin matters."""
        return self.session_key is not None

    @staticmethod
    def _token(headers: dict[bytes, bytes], offered: list[str]) -> str | None:
        scheme, _, value = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() == "bearer" and value:
            return value.strip()
        return next((name.removeprefix("bearer.") for name in offered if name.startswith("bearer.")), None)

    @staticmethod
    def _session_key(headers: dict[bytes, bytes]) -> str | None:
        try:
            cookies = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
        except CookieError:
            return None
        morsel = cookies.get(settings.SESSION_COOKIE_NAME)
        return morsel.value if morsel is not None and morsel.value else None


def _origin_allowed(scope: WebSocketScope, origin: str | None) -> bool:
    """Return whether a page of ``origin`` may use the visitor's cookie: the site itself, or one of ALLOWED_ORIGINS."""
    if origin is None:
        # No browser omits it; without a browser there is no cookie to steal.
        return True
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    return urlsplit(origin).netloc == host or origin in settings.ALLOWED_ORIGINS
