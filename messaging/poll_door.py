"""``/v1/poll``: the HTTP side of long polling; the sessions are in messaging/gateway/poll.py (docs/decisions/0028).

An ASGI application beside the socket's consumer, and no view of Django: a request that waits holds no thread.
"""

import asyncio
import json
import logging
import math
import re
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from messaging.api.problems import CONTENT_TYPE, problem, problem_of
from messaging.body_limit import Receive, Scope, Send
from messaging.domain.errors import BadFrame, ChatError, InvalidInput, TooLarge
from messaging.endings import end
from messaging.gateway.poll import Fetched, Sessions
from messaging.headers import bare

logger = logging.getLogger(__name__)

#: The client's name for its session; as good as a secret, and what a balancer tells pods apart by.
NAME: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
_NUMBER: Final = re.compile(r"\d{1,15}")
#: Below what proxies wait for an answer, which is 30 s where it is short.
WAIT_S: Final = 25.0
MAX_FRAMES: Final = 100


class _Posted(msgspec.Struct):
    frames: list[msgspec.Raw] = []
    open: bool = False
    close: bool = False


_posted = msgspec.json.Decoder(_Posted)


class PollDoor:
    """The ASGI application of ``/v1/poll``."""

    def __init__(self, sessions: Sessions, *, wait_s: float = WAIT_S) -> None:
        self._sessions = sessions
        self._wait_s = wait_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        work = {"GET": self._fetch, "POST": self._post}.get(scope["method"])
        try:
            if work is None:
                status = HTTPStatus.METHOD_NOT_ALLOWED
                body = problem(status_code=status, code="method_not_allowed", title=status.phrase, detail="GET or POST")
                await _answer(send, status, body, problem=True)
            else:
                await work(scope, receive, send)
        except ChatError as error:
            await _answer(send, error.http_status, problem_of(error), problem=True)

    def _name(self, scope: Scope) -> str:
        # No page of another origin can send this header without asking first, and nobody here says yes.
        name: str = dict(scope["headers"]).get(b"chat-session", b"").decode("latin-1")
        if not NAME.fullmatch(name):
            raise InvalidInput("the header Chat-Session must be 16 to 64 letters, digits, dashes or underscores")
        return name

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = self._sessions.key(scope, self._name(scope))
        content = await _read(receive)
        if content is None:
            return
        try:
            posted = _posted.decode(content or b"{}")
            frames = [bytes(frame).decode() for frame in posted.frames]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadFrame(f"the body cannot be read: {type(error).__name__}") from None
        if len(frames) > MAX_FRAMES:
            raise TooLarge(f"{len(frames)} frames; the limit is {MAX_FRAMES}")
        session = await self._sessions.open(key, scope) if posted.open else self._sessions.find(key)
        await session.post(frames)
        if posted.close:
            session.leave()
        await _answer(send, HTTPStatus.NO_CONTENT, None)

    async def _fetch(self, scope: Scope, receive: Receive, send: Send) -> None:
        session = self._sessions.find(self._sessions.key(scope, self._name(scope)))
        [after] = parse_qs(scope["query_string"].decode("latin-1")).get("after", ["0"])[:1]
        if not _NUMBER.fullmatch(after):
            raise InvalidInput("after must be the number of a frame")
        fetched = await _unless_gone(session.fetch(after=int(after), wait_s=self._wait_s), receive)
        if fetched is not None:
            await _answer(send, HTTPStatus.OK, fetched)


async def _read(receive: Receive) -> bytes | None:
    """Return the body; None where the client is gone. Its size is somebody else's affair (``BodyLimit``)."""
    parts: list[bytes] = []
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        parts.append(event.get("body", b""))
        if not event.get("more_body", False):
            return b"".join(parts)


async def _unless_gone(work: Coroutine[Any, Any, Fetched], receive: Receive) -> Fetched | None:
    """Return what ``work`` returns; None, and ``work`` cancelled, once the client is gone."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        await end([working, leaving])


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _answer(send: Send, status: int, body: dict[str, Any] | Fetched | None, *, problem: bool = False) -> None:
    headers = bare()
    content = b""
    if isinstance(body, Fetched):
        # The frames are JSON already.
        end = "" if body.end is None else f',"close":{json.dumps({"code": body.end[0], "reason": body.end[1]})}'
        content = f'{{"frames":[{",".join(body.frames)}],"last":{body.last}{end}}}'.encode()
    elif body is not None:
        content = json.dumps(body).encode()
        if body.get("retry_after") is not None:
            headers.append((b"retry-after", str(math.ceil(body["retry_after"])).encode()))
    if status != HTTPStatus.NO_CONTENT:
        headers.append((b"content-type", CONTENT_TYPE.encode() if problem else b"application/json"))
        headers.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": content})
