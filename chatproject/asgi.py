"""The ASGI application: HTTP to Django, sockets to the gateway's consumer."""

import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatproject.settings")
# Before the imports below: it loads the models.
_http = get_asgi_application()

from chatproject import runtime  # noqa: E402
from messaging.api.parsing import MAX_BODY_BYTES  # noqa: E402
from messaging.body_limit import BodyLimit  # noqa: E402
from messaging.gateway.consumer import ChatConsumer  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": BodyLimit(_http, max_bytes=MAX_BODY_BYTES),
        "websocket": ChatConsumer.as_asgi(pod=runtime.pod),
    }
)
