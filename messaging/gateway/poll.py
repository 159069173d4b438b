"""Sessions of long polling: a socket whose two directions are requests (docs/decisions/0028).

A session runs a consumer of its own, the same that serves WebSockets: authentication, limits, rights, revocation and
drain are its. What is posted is what it receives; what it sends waits here until it was fetched, and stays until the
next fetch confirms it, so that an answer that is lost on its way loses no frame. Sizes in bytes, times in seconds.
"""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from prometheus_client import Gauge

from messaging.domain.connection import State
from messaging.domain.errors import (
    ChatError,
    CloseCode,
    Forbidden,
    RateLimited,
    SessionLost,
    Suspended,
    Unauthenticated,
    Unavailable,
)
from messaging.gateway.consumer import ChatConsumer, Handshake
from messaging.gateway.pod import Pod

logger = logging.getLogger(__name__)

SESSIONS = Gauge("chat_poll_sessions", "Sessions of long polling on this pod; their sockets are counted as such, too.")

#: Frames and bytes that wait for a fetch; behind them the socket's own outbox fills, with its own rules.
_MAX_HELD_FRAMES: Final = 500
_MAX_HELD_BYTES: Final = 256 * 1024
#: Frames that wait for the consumer, which reads no further while the log is behind.
_MAX_POSTED: Final = 200
_POST_PATIENCE_S: Final = 10.0
#: How long opening one may take, credentials included.
_OPEN_PATIENCE_S: Final = 10.0
#: How long a session that has ended waits for somebody to hear why.
_LINGER_S: Final = 30.0
_MAX_SESSIONS: Final = 10_000
_MAX_SESSIONS_EACH: Final = 10

#: Whose a session is, and what its client calls it. Other credentials do not reach it, whatever name they guess.
Key = tuple[bytes, str]


class Fetched:
    """What a fetch gives: frames as they go over a socket, the number of the last, and the end, where it has come."""

    __slots__ = ("end", "frames", "last")

    def __init__(self, frames: Sequence[str], last: int, end: tuple[int, str] | None) -> None:
        self.frames = frames
        self.last = last
        self.end = end


class Session:
    """One session. Used on the event loop only."""

    def __init__(self) -> None:
        self._posted: deque[dict[str, Any]] = deque([{"type": "websocket.connect"}])
        self._posted_news = asyncio.Event()
        self._posted_room = asyncio.Event()
        #: Frames not confirmed, each with its number.
        self._held: deque[tuple[int, str]] = deque()
        self._held_bytes = 0
        self._held_news = asyncio.Event()
        self._held_room = asyncio.Event()
        self._last = 0
        #: Fetches so far; an earlier one that still waits gives way to a later one.
        self._fetches = 0
        self._end: tuple[int, str] | None = None
        #: Set once somebody has fetched the end.
        self.told = asyncio.Event()

    # --- the consumer's side --------------------------------------------------------------------

    async def receive(self) -> dict[str, Any]:
        """Return the next event of the socket; ASGI's ``receive``."""
        while not self._posted:
            if self._end is not None:
                return {"type": "websocket.disconnect", "code": self._end[0]}
            self._posted_news.clear()
            await self._posted_news.wait()
        self._posted_room.set()
        return self._posted.popleft()

    async def send(self, event: dict[str, Any]) -> None:
        """Hold a frame for the next fetch, waiting while too much is held; ASGI's ``send``."""
        match event["type"]:
            case "websocket.send":
                text: str = event["text"]
                while self._is_full(len(text)) and self._end is None:
                    self._held_room.clear()
                    await self._held_room.wait()
                self._last += 1
                self._held.append((self._last, text))
                self._held_bytes += len(text)
                self._held_news.set()
            case "websocket.close":
                self.end(event["code"], event.get("reason") or "")

    def _is_full(self, size: int) -> bool:
        return bool(self._held) and (len(self._held) >= _MAX_HELD_FRAMES or self._held_bytes + size > _MAX_HELD_BYTES)

    def end(self, code: int, reason: str) -> None:
        """Let the session end; the first end counts."""
        if self._end is None:
            self._end = int(code), reason
            self._posted.clear()
            for event in (self._posted_news, self._posted_room, self._held_news, self._held_room):
                event.set()

    # --- the client's side ------------------------------------------------------------------------

    async def post(self, frames: Sequence[str]) -> None:
        """Hand frames to the consumer, in their order.

        Raises:
            Unavailable: it did not get round to all of them; those behind are not taken.
        """
        try:
            async with asyncio.timeout(_POST_PATIENCE_S):
                for text in frames:
                    while len(self._posted) >= _MAX_POSTED and self._end is None:
                        self._posted_room.clear()
                        await self._posted_room.wait()
                    if self._end is not None:
                        return
                    self._posted.append({"type": "websocket.receive", "text": text})
                    self._posted_news.set()
        except TimeoutError:
            raise Unavailable("the server is behind; post again what has no answer", retry_after=1.0) from None

    async def fetch(self, *, after: int, wait_s: float) -> Fetched:
        """Confirm the frames up to number ``after`` and return those behind it, as soon as there is one or the end.

        After ``wait_s``, or when another fetch comes, there may be none. May be cancelled: no frame is lost.
        """
        self._fetches += 1
        turn = self._fetches
        # The one that waits looks, and gives way.
        self._held_news.set()
        while self._held and self._held[0][0] <= after:
            _, text = self._held.popleft()
            self._held_bytes -= len(text)
        self._held_room.set()
        here = await self._until(lambda: bool(self._held) or self._end is not None or turn != self._fetches, wait_s)
        if not here or turn != self._fetches:
            return Fetched([], after, None)
        if self._end is not None:
            self.told.set()
        return Fetched([text for _, text in self._held], self._last if self._held else after, self._end)

    def leave(self) -> None:
        """End the session as a client closes its socket; what was posted before is read first."""
        if self._end is None:
            self.told.set()
            self._posted.append({"type": "websocket.disconnect", "code": CloseCode.NORMAL})
            self._posted_news.set()

    async def _until(self, holds: Callable[[], bool], patience_s: float) -> bool:
        """Return whether ``holds()`` within ``patience_s``; asks again whenever a frame or the end came."""
        try:
            async with asyncio.timeout(patience_s):
                while not holds():
                    self._held_news.clear()
                    await self._held_news.wait()
        except TimeoutError:
            return False
        return True

    async def begun(self, patience_s: float) -> None:
        """Return once the consumer has said anything, or has not for ``patience_s``."""
        await self._until(lambda: bool(self._held) or self._end is not None, patience_s)

    async def refusal(self, patience_s: float) -> ChatError:
        """Return why the session ends, once it does; it is over then, and nobody is waited for."""
        self.told.set()
        if not await self._until(lambda: self._end is not None, patience_s):
            self.end(CloseCode.TRY_AGAIN_LATER, "")
        match self._end:
            case (CloseCode.UNAUTHENTICATED, _):
                return Unauthenticated("the token or session is not valid")
            case (CloseCode.SUSPENDED, reason):
                return Suspended(reason)
            case (CloseCode.FORBIDDEN_ORIGIN, _):
                return Forbidden("not from pages of this origin")
        return Unavailable("no session can be opened now", retry_after=1.0)

    async def run(self, serve: Callable[[], Awaitable[None]]) -> None:
        """Have ``serve`` serve the session until its end, and wait a while for somebody to hear of that."""
        try:
            await serve()
        except asyncio.CancelledError:
            self.end(CloseCode.SERVICE_RESTART, "server restarts; reconnect")
            raise
        except Exception:
            logger.exception("a session of long polling failed")
            self.end(CloseCode.INTERNAL, "internal error")
        self.end(CloseCode.NORMAL, "")
        try:
            async with asyncio.timeout(_LINGER_S):
                await self.told.wait()
        except TimeoutError:
            return


class Sessions:
    """The sessions of one pod."""

    def __init__(self, *, pod: Callable[[], Awaitable[Pod]]) -> None:
        self._pod = pod
        self._sessions: dict[Key, Session] = {}

    def key(self, scope: dict[str, Any], name: str) -> Key:
        """Return what a request's session is found by: a digest of its credentials, and the client's name for it.

        Raises:
            Unauthenticated: it has no credentials. Who polls can send headers, so there is no first frame `auth`.
        """
        handshake = Handshake(_socket_scope(scope))
        credential = handshake.token if handshake.token is not None else handshake.session_key
        if credential is None:
            raise Unauthenticated
        kind = b"session" if handshake.token is None else b"token"
        return hashlib.sha256(kind + credential.encode()).digest(), name

    def find(self, key: Key) -> Session:
        """Return the session.

        Raises:
            SessionLost: it is not here: over, of somebody else, or on another pod.
        """
        session = self._sessions.get(key)
        if session is None:
            raise SessionLost("there is no such session here; open a new one, then sync")
        return session

    async def open(self, key: Key, scope: dict[str, Any]) -> Session:
        """Return the session, opened with the credentials in ``scope`` unless it is open already.

        Raises:
            Unauthenticated, Forbidden: the credentials are not valid, or not for pages of that origin.
            RateLimited: they have too many sessions. Unavailable: the pod has, or takes nobody now.
        """
        pod = await self._pod()
        session = self._sessions.get(key)
        if session is not None:
            return session
        if pod.draining or len(self._sessions) >= _MAX_SESSIONS:
            raise Unavailable("this pod takes no more sessions", retry_after=1.0)
        if sum(owner == key[0] for owner, _ in self._sessions) >= _MAX_SESSIONS_EACH:
            raise RateLimited("too many sessions", retry_after=_LINGER_S)
        session = self._sessions[key] = Session()
        SESSIONS.set(len(self._sessions))
        consumer = ChatConsumer(pod=self._pod)
        stand_in = _socket_scope(scope)
        pod.spawn(self._run(key, session, lambda: consumer(stand_in, session.receive, session.send)))
        await session.begun(_OPEN_PATIENCE_S)
        socket = getattr(consumer, "socket", None)
        if socket is None or socket.connection.state is not State.OPEN:
            # Whoever gets in nowhere leaves nothing behind: a session for each wrong token would soon be too many.
            raise await session.refusal(_OPEN_PATIENCE_S)
        return session

    async def _run(self, key: Key, session: Session, serve: Callable[[], Awaitable[None]]) -> None:
        try:
            await session.run(serve)
        finally:
            del self._sessions[key]
            SESSIONS.set(len(self._sessions))


def _socket_scope(scope: dict[str, Any]) -> Any:
    """Return the scope of the socket that stands for a session: the request's headers, and no extension."""
    return {
        "type": "websocket",
        "path": "/ws",
        "headers": scope["headers"],
        "subprotocols": ["chat.v1.json"],
        "client": scope.get("client"),
        "extensions": {},
    }
