"""Whose log line is this: the socket or the request at hand, for the formatter to name (chatproject/logs.py)."""

import re
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Protocol

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from accounts.models import User
from messaging.domain import ids

#: What a proxy may call a request; anything else could write into the log.
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
#: Of a request: its subject.
_ATTRIBUTE: Final = "log_subject"


class Subject(Protocol):
    """What is at hand."""

    def log_fields(self) -> dict[str, str]:
        """Return what a line about it should name: opaque ids only. Called for each line; touches no database."""


_subject: ContextVar[Subject | None] = ContextVar("subject", default=None)


def about(subject: Subject) -> None:
    """Let the log lines of this task, and of those that it starts, name ``subject``."""
    _subject.set(subject)


def fields(request: object = None) -> dict[str, str]:
    """Return what the present line should name; ``request`` where it is about one that has been answered already."""
    subject: Subject | None = getattr(request, _ATTRIBUTE, None) or _subject.get()
    return {} if subject is None else subject.log_fields()


class _Request:
    """A request of HTTP."""

    def __init__(self, request: HttpRequest) -> None:
        offered = request.headers.get("X-Request-ID", "")
        self.id = offered if _REQUEST_ID.fullmatch(offered) else secrets.token_urlsafe(9)
        self._request = request

    def log_fields(self) -> dict[str, str]:
        known = {"request": self.id, "method": str(self._request.method)}
        # Not the path: some hold a key that resets a password.
        if self._request.resolver_match is not None:
            known["route"] = self._request.resolver_match.route
        # As far as somebody has looked already: a log line is no reason for a query.
        user = self._request.__dict__.get("user")
        if type(user) is not User:
            user = getattr(self._request, "_cached_user", None)
        if type(user) is User:
            known["user"] = ids.user_ref(user.pk)
        return known


@contextmanager
def _request(request: HttpRequest) -> Iterator[str]:
    subject = _Request(request)
    setattr(request, _ATTRIBUTE, subject)
    before = _subject.set(subject)
    try:
        yield subject.id
    finally:
        _subject.reset(before)


@sync_and_async_middleware
def middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Give each request an id, the proxy's where it has one, and name it in the answer as ``X-Request-ID``."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            with _request(request) as request_id:
                waiting: Awaitable[HttpResponseBase] = get_response(request)
                response = await waiting
                response["X-Request-ID"] = request_id
                return response

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        with _request(request) as request_id:
            response: HttpResponseBase = get_response(request)
            response["X-Request-ID"] = request_id
            return response

    return answer
