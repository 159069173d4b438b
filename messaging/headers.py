"""What answers tell browsers besides their content, so that none is kept, framed or taken for something else.

Django's middleware and django-csp speak for what Django answers; ``bare`` for the answers that never reach it.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

Headers = list[tuple[bytes, bytes]]

#: What is no page loads nothing, runs nothing and is in no frame.
_POLICY: Final = b"default-src 'none'; frame-ancestors 'none'"


def bare() -> Headers:
    """Return the headers of an answer that holds data and passed by Django's middleware."""
    headers = [
        (b"cache-control", b"no-store"),
        (b"content-security-policy", _POLICY),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", settings.SECURE_REFERRER_POLICY.encode()),
    ]
    if settings.SECURE_HSTS_SECONDS:
        subdomains = "; includeSubDomains" if settings.SECURE_HSTS_INCLUDE_SUBDOMAINS else ""
        headers.append((b"strict-transport-security", f"max-age={settings.SECURE_HSTS_SECONDS}{subdomains}".encode()))
    return headers


@sync_and_async_middleware
def not_kept(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Let no browser or proxy keep an answer that does not say itself for how long it may be kept.

    Messages, tokens and settings would lie in a cache of the disk otherwise, also once their reader has signed out.
    """
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            waiting: Awaitable[HttpResponseBase] = get_response(request)
            return _marked(await waiting)

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        return _marked(get_response(request))

    return answer


def _marked(response: HttpResponseBase) -> HttpResponseBase:
    response.headers.setdefault("Cache-Control", "no-store")
    return response
