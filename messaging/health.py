"""What a load balancer and a monitoring system ask: alive, ready, numbers. Needs no session and no database."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from chatproject import runtime


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
    """Return this process's counters in Prometheus' text format; they name no user and hold no text."""
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)
