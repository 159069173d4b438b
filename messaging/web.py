"""The page of the web client. Everything on it comes over REST and the socket."""

from urllib.parse import quote

from csp.decorators import csp_update
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET

from accounts.models import User
from accounts.selectors.credentials import device_for_session
from accounts.services.devices import touch
from messaging.domain import ids


@require_GET
@login_required
@never_cache
def join(request: HttpRequest, token: str) -> HttpResponse:
    """Lead whoever has a link into a group to the page, which shows what it is and asks."""
    return redirect(f"/#join={quote(token, safe='')}")


# What others wrote is shown here, so no string becomes markup or a script (Trusted Types); ``push.js`` has the policy.
@csp_update({"require-trusted-types-for": ["'script'"], "trusted-types": ["chat-worker"]})
@require_GET
@login_required
@never_cache
@ensure_csrf_cookie
def app(request: HttpRequest) -> HttpResponse:
    """Show the chat to whoever is signed in."""
    assert isinstance(request.user, User)
    user = request.user
    key = request.session.session_key or ""
    device = device_for_session(key, user_agent=request.headers.get("User-Agent", ""))
    if device is not None:
        touch(device)
    me = {
        "id": ids.user_ref(user.pk),
        "username": user.username,
        "display_name": user.display_name or user.username,
        "previews": settings.LINK_PREVIEWS and user.show_previews,
    }
    return render(request, "chat/app.html", {"me": me})
