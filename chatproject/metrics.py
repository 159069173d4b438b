"""Where the numbers of a process are read: on a port of their own (docs/decisions/0027)."""

from collections.abc import Callable

from django.conf import settings
from prometheus_client import REGISTRY, start_http_server
from prometheus_client.registry import Collector


def listen(port: int, numbers: Collector = REGISTRY) -> Callable[[], None]:
    """Serve this process's numbers on CHAT_METRICS_HOST, in a thread, and return what ends it; 0 serves nothing.

    Raises:
        SystemExit: the address cannot be listened on; the sentence says so.
    """
    if not port:
        return lambda: None
    host = settings.ENV["CHAT_METRICS_HOST"]
    try:
        server, thread = start_http_server(port, addr=host, registry=numbers)
    except OSError as error:
        raise SystemExit(f"cannot serve metrics on {host}:{port}: {error.strerror or error}") from None

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end
