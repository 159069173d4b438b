"""Proving once more who it is, before something grave (docs/decisions/0077).

REST sends password and code along. Pages lead to where they are asked for, and then go on (``proven_again``).
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate
from allauth.core.exceptions import ReauthenticationRequired
from django.http import HttpRequest, HttpResponse

from accounts.mfa import require_code
from accounts.models import User
from messaging.domain.errors import Forbidden, InvalidInput


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
    """
    if not did_recently_reauthenticate(request):
        raise ReauthenticationRequired


def proven_again(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Return the view with ``ask_again`` before it. It stands below ``login_required``."""

    @wraps(view)
    def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        ask_again(request)
        return view(request, *args, **kwargs)

    return asked
