"""The page of the web client. Everything on it comes over REST and the socket."""

from urllib.parse import quote

from csp.decorators import csp_update
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET

from accounts.api.serializers import user_json
from accounts.models import User
from accounts.selectors.credentials import device_for_session
from accounts.services.devices import touch
from messaging import shell


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
    me = {**user_json(user), "previews": settings.LINK_PREVIEWS and user.show_previews}
    response = render(request, "chat/app.html", {"me": me})
    response["Chat-Shell"] = shell.shell().version
    return response


@require_GET
def worker(request: HttpRequest) -> HttpResponse:
    """Return the service worker of this version, which browsers ask for again and again."""
    return HttpResponse(shell.worker_script(), content_type="text/javascript")


@require_GET
def manifest(request: HttpRequest) -> JsonResponse:
    """Say how the chat is installed as an app."""

    def icon(name: str, sizes: str, purpose: str) -> dict[str, str]:
        kind = "image/svg+xml" if name.endswith(".svg") else "image/png"
        return {"src": static(f"images/{name}"), "sizes": sizes, "type": kind, "purpose": purpose}

    said = {
        "id": "/",
        "name": "Chat",
        "short_name": "Chat",
        "description": _("Messages from one to one and in groups."),
        "lang": get_language() or "en",
        "dir": "auto",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#ffffff",
        "theme_color": "#3355dd",
        "categories": ["social", "communication"],
        "icons": [
            icon("icon-192.png", "192x192", "any"),
            icon("icon-512.png", "512x512", "any"),
            icon("maskable-192.png", "192x192", "maskable"),
            icon("maskable-512.png", "512x512", "maskable"),
            icon("icon.svg", "any", "any"),
        ],
        "shortcuts": [
            {"name": _("New chat"), "url": "/#new-chat", "icons": [icon("icon-192.png", "192x192", "any")]},
            {"name": _("Search messages"), "url": "/#search", "icons": [icon("icon-192.png", "192x192", "any")]},
        ],
    }
    return JsonResponse(said, content_type="application/manifest+json")
