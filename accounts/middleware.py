"""What goes before every page: the reader's language, and that suspended users are kept out of what a session opens.

Tokens and sockets are asked where they are read.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.decorators import sync_and_async_middleware

from accounts.language import language_for
from accounts.models import User
from accounts.services.suspension import refusal
from messaging.api.problems import is_api, plain

#: What is open to them all the same: to leave.
_OPEN: Final = ("account_logout",)


def suspended_page(request: HttpRequest, user: User) -> HttpResponse:
    """Return the page that tells a suspended user why, and until when."""
    return render(request, "account/suspended.html", {"suspended": user}, status=403)


def _refused(request: HttpRequest, user: Any) -> HttpResponseBase | None:
    if not isinstance(user, User) or not user.is_suspended or request.path in map(reverse, _OPEN):
        return None
    return plain(refusal(user)) if is_api(request) else suspended_page(request, user)


def _spoken(response: HttpResponseBase, language: str) -> HttpResponseBase:
    if response.headers.get("Content-Type", "").startswith("text/html"):
        response.headers.setdefault("Content-Language", language)
        patch_vary_headers(response, ["Accept-Language", "Cookie"])
    return response


@sync_and_async_middleware
def language(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Answer in the language of the reader: of the account, of the browser's cookie, or of ``Accept-Language``."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            spoken = language_for(request, await request.auser())
            with translation.override(spoken):
                return _spoken(await get_response(request), spoken)

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        spoken = language_for(request, request.user)
        with translation.override(spoken):
            return _spoken(get_response(request), spoken)

    return answer


@sync_and_async_middleware
def suspension(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Answer a suspended user's request with a refusal (403), a problem under /v1 and a page elsewhere."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            user = await request.auser()
            # Django remembers the user of ``auser`` and of ``user`` apart, and views would ask the database once more.
            request._cached_user = user  # type: ignore[attr-defined]
            if isinstance(user, User) and user.is_suspended:
                # The page asks the database, as pages do.
                refused: HttpResponseBase | None = await sync_to_async(_refused)(request, user)
                if refused is not None:
                    return refused
            answering: Awaitable[HttpResponseBase] = get_response(request)
            return await answering

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = _refused(request, request.user) or get_response(request)
        return response

    return answer
