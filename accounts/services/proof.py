"""Proving once more who it is, before something grave (docs/decisions/0077).

REST sends password and code along. Pages lead to where they are asked for, and then go on (``proven_again``).
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from allauth.account.app_settings import REAUTHENTICATION_TIMEOUT
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate, get_reauthentication_flows
from allauth.core.exceptions import ImmediateHttpResponse, ReauthenticationRequired
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from accounts.mfa import require_code
from accounts.models import User
from messaging.domain.errors import Forbidden, InvalidInput

#: How a sign-in by the OpenID provider is called in the session, among allauth's own records.
BY_PROVIDER: Final = "oidc"


def prove(*, user: User, password: str, code: str = "") -> None:
    """Pass whoever gives the user's password, and a good code where there is a second factor.

    Raises:
        InvalidInput: the password is wrong. Unauthenticated: the code is missing or wrong.
        Forbidden: the account has no password, so only a browser can ask who it is.
    """
    if not user.has_usable_password():
        raise Forbidden("this account has no password: do it in the settings, in a browser")
    if not user.check_password(password):
        raise InvalidInput("the password is not right")
    require_code(user, code)


def ask_again(request: HttpRequest) -> None:
    """Pass whoever proved on a page, in the last five minutes, who they are.

    Raises:
        ReauthenticationRequired: ``AccountMiddleware`` leads to where it is asked, and does this request again then.
        ImmediateHttpResponse: only the provider knows the user; a page leads there, and nothing is done.
    """
    assert isinstance(request.user, User)
    if get_reauthentication_flows(request.user):
        if not did_recently_reauthenticate(request):
            raise ReauthenticationRequired
    # allauth passes whoever has neither password nor second factor.
    elif settings.OIDC is not None and not _confirmed_by_provider(request, request.user):
        to = request.get_full_path() if request.method == "GET" else reverse("settings")
        raise ImmediateHttpResponse(
            render(request, "account/oidc_again.html", {"name": settings.OIDC.name, "next": to})
        )


def _confirmed_by_provider(request: HttpRequest, user: User) -> bool:
    confirmed = [
        record["at"]
        for record in get_authentication_records(request, user)
        if record["method"] == BY_PROVIDER and record.get("reauthenticated")
    ]
    return bool(confirmed) and time.time() - max(confirmed) < REAUTHENTICATION_TIMEOUT


def proven_again(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Return the view with ``ask_again`` before it. It stands below ``login_required``."""

    @wraps(view)
    def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        ask_again(request)
        return view(request, *args, **kwargs)

    return asked
