"""To the OpenID provider and back (docs/decisions/0078): ``begin`` by a form, ``callback`` by the provider."""

import logging
import time
from dataclasses import asdict
from typing import Any, Final

from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from allauth.account.utils import get_next_redirect_url
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from accounts.oidc.config import OidcConfig
from accounts.oidc.provider import Attempt, Provider, SignInFailed, new_attempt
from accounts.selectors.credentials import AUTH_FAILURES
from accounts.services import identities
from accounts.services.proof import BY_PROVIDER, ask_again, proven_again
from messaging.domain.errors import ChatError

logger = logging.getLogger(__name__)

_KEY: Final = "oidc"
#: Ways that were begun in one browser, in several tabs; and how long one may take.
_MAX_ATTEMPTS: Final = 5
_TTL_S: Final = 600


def _config() -> OidcConfig:
    if settings.OIDC is None:
        raise Http404
    config: OidcConfig = settings.OIDC
    return config


def _redirect_uri(request: HttpRequest) -> str:
    return request.build_absolute_uri(reverse("oidc_callback"))


@require_POST
def begin(request: HttpRequest) -> HttpResponse:
    """Lead to the provider: to sign in ("login"), to link who is signed in ("link"), to prove it is you ("again")."""
    config = _config()
    purpose = request.POST.get("purpose", "login")
    if purpose not in ("login", "link", "again"):
        raise Http404
    if (purpose == "login") == request.user.is_authenticated:
        return redirect(get_next_redirect_url(request) or ("/" if request.user.is_authenticated else "account_login"))
    if purpose == "link":
        ask_again(request)
    state, attempt = new_attempt(purpose, get_next_redirect_url(request) or "")
    try:
        url = Provider(config).way_there(state, attempt, _redirect_uri(request))
    except SignInFailed as error:
        return _failed(request, error)
    _keep(request, state, attempt)
    # Not a redirect: browsers follow none from a form to where ``form-action`` does not allow it.
    return render(request, "account/onward.html", {"url": url, "name": config.name})


@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    """Take the provider's answer."""
    config = _config()
    attempt = _taken(request, request.GET.get("state", ""))
    if attempt is None:
        return _failed(request, SignInFailed("an answer to no question of this browser"))
    if request.GET.get("error") == "access_denied":
        messages.info(request, _("Signing in with %(name)s was cancelled.") % {"name": config.name})
        return redirect("account_login" if attempt.purpose == "login" else "mfa_index")
    try:
        claims = Provider(config).claims_for(request.GET.dict(), attempt, _redirect_uri(request))
    except SignInFailed as error:
        return _failed(request, error)
    ways = {"login": _sign_in, "link": _link, "again": _again}
    return ways[attempt.purpose](request, attempt, claims)


def _sign_in(request: HttpRequest, attempt: Attempt, claims: dict[str, Any]) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect(attempt.next or "/")
    user = identities.user_of_identity(claims)
    if user is None:
        if settings.SIGNUP == "closed":
            return render(request, "account/signup_closed.html", status=403)
        try:
            user = identities.sign_up_identity(claims, username_claim=_config().username_claim)
        except ChatError as error:
            return _failed(request, SignInFailed(error.detail))
    # From here on as after a password: suspended and inactive people are told so, a second factor is asked for.
    record_authentication(request, user, BY_PROVIDER)
    response: HttpResponse = perform_login(request, Login(user=user, redirect_url=attempt.next or None))
    return response


def _link(request: HttpRequest, attempt: Attempt, claims: dict[str, Any]) -> HttpResponse:
    if not isinstance(request.user, User):
        return redirect("account_login")
    try:
        identities.link_identity(claims, user=request.user)
    except ChatError as error:
        messages.error(request, f"{error.detail.capitalize()}.")
    else:
        messages.success(request, _("You can sign in with %(name)s now.") % {"name": _config().name})
    return redirect("mfa_index")


def _again(request: HttpRequest, attempt: Attempt, claims: dict[str, Any]) -> HttpResponse:
    if not isinstance(request.user, User) or identities.user_of_identity(claims) != request.user:
        return _failed(request, SignInFailed("somebody else confirmed"))
    record_authentication(request, request.user, BY_PROVIDER, reauthenticated=True)
    return redirect(attempt.next or "settings")


@login_required
@require_POST
@proven_again
def unlink(request: HttpRequest) -> HttpResponse:
    """Sign in by the provider no more."""
    assert isinstance(request.user, User)
    try:
        identities.unlink_identity(user=request.user)
    except ChatError as error:
        messages.error(request, f"{error.detail.capitalize()}.")
    else:
        messages.success(request, _("It signs you in no more."))
    return redirect("mfa_index")


def _failed(request: HttpRequest, error: SignInFailed) -> HttpResponse:
    AUTH_FAILURES.labels("oidc").inc()
    logger.warning("a sign-in at the provider was refused: %s", error)
    return render(request, "account/oidc_failed.html", {"name": _config().name}, status=400)


def _keep(request: HttpRequest, state: str, attempt: Attempt) -> None:
    kept = {**_kept(request), state: asdict(attempt)}
    request.session[_KEY] = dict(list(kept.items())[-_MAX_ATTEMPTS:])


def _kept(request: HttpRequest) -> dict[str, Any]:
    now = time.time()
    return {key: one for key, one in request.session.get(_KEY, {}).items() if now - one["begun_at"] < _TTL_S}


def _taken(request: HttpRequest, state: str) -> Attempt | None:
    """Return the attempt that was begun with this ``state`` in this browser, once."""
    kept = _kept(request)
    found = kept.pop(state, None)
    request.session[_KEY] = kept
    return Attempt(**found) if found else None
