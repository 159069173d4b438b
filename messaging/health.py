"""What a load balancer and a monitoring system ask: alive, ready, numbers. Needs no session and no database."""

from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from chatproject import runtime

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
#: What proxies add to a request.
_FORWARDED: Final = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
    "HTTP_FORWARDED",
    "HTTP_VIA",
)


def _plain(text: str, *, status: int = 200) -> HttpResponse:
    return HttpResponse(
        text, status=status, content_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"}
    )


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Return 200: the process answers. Restart it when this fails."""
    return _plain("ok\n")


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Return 200 while the pod takes connections, 503 before that and while it drains (design section 6)."""
    return _plain("ready\n") if runtime.is_ready() else _plain("not ready\n", status=503)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return this process's numbers in Prometheus' text format, to this machine alone: 404 to everybody else.

    What comes through a proxy is not from this machine, whatever address it comes from (docs/decisions/0027).
    """
    if request.META.get("REMOTE_ADDR") not in _LOOPBACK or any(name in request.META for name in _FORWARDED):
        raise Http404
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)
