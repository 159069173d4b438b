"""Refuses HTTP bodies that are too large before anybody keeps them (design section 5, limits).

Django's ASGI handler spools a whole body to disk before a view or a parser can say no.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from messaging.api.problems import CONTENT_TYPE, problem_of
from messaging.domain.errors import TooLarge
from messaging.headers import bare

Scope = dict[str, Any]
Event = Mapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: So many times the limit is read and dropped, so that the client gets round to reading the answer. Closing with unread
#: bytes makes the kernel reset the connection.
_PATIENCE = 16


class BodyLimit:
    """An ASGI application in front of another: answers 413 where a body is longer than ``max_bytes``."""

    def __init__(self, application: Application, *, max_bytes: int) -> None:
        self._application = application
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or have the application answer."""
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_bytes:
            if b"expect" not in headers:
                await self._drop(receive, 0)
            await self._refuse(send)
            return
        came = 0
        refused = False

        async def counted() -> Event:
            nonlocal came, refused
            if refused:
                return {"type": "http.disconnect"}
            event = await receive()
            came += len(event.get("body", b""))
            if came > self._max_bytes:
                # Chunked, so that nothing was declared. The application hears that its client is gone, and stops.
                refused = True
                if event["more_body"]:
                    await self._drop(receive, came)
                await self._refuse(send)
                return {"type": "http.disconnect"}
            return event

        async def unless_refused(event: Event) -> None:
            if not refused:
                await send(event)

        await self._application(scope, counted, unless_refused)

    async def _drop(self, receive: Receive, came: int) -> None:
        while came <= _PATIENCE * self._max_bytes:
            event = await receive()
            came += len(event.get("body", b""))
            if not event.get("more_body", False):
                return

    async def _refuse(self, send: Send) -> None:
        error = TooLarge(f"the request is over {self._max_bytes} bytes")
        headers = [*bare(), (b"content-type", CONTENT_TYPE.encode()), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": error.http_status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(problem_of(error)).encode()})
