"""The ASGI application: HTTP to Django, sockets to the gateway's consumer, and long polling to its sessions."""

import os
from typing import Any

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatproject.settings")
# Before the imports below: it loads the models.
_http = get_asgi_application()

from chatproject import runtime  # noqa: E402
from messaging.api.parsing import MAX_BODY_BYTES  # noqa: E402
from messaging.body_limit import BodyLimit  # noqa: E402
from messaging.gateway.consumer import ChatConsumer  # noqa: E402
from messaging.gateway.poll import Sessions  # noqa: E402
from messaging.poll_door import PollDoor  # noqa: E402

_poll = PollDoor(Sessions(pod=runtime.pod))


async def _route(scope: Any, receive: Any, send: Any) -> None:
    await (_poll if scope["path"] == "/v1/poll" else _http)(scope, receive, send)


application = ProtocolTypeRouter(
    {
        "http": BodyLimit(_route, max_bytes=MAX_BODY_BYTES),
        "websocket": ChatConsumer.as_asgi(pod=runtime.pod),
    }
)
