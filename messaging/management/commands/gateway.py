"""``manage.py gateway``: run one gateway pod."""

import sys
from typing import Any

from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand, CommandParser

from chatproject import runtime
from messaging.ports import LogUnavailable


class Command(BaseCommand):
    """Serve sockets, REST and pages until SIGTERM; on embedded engines the router runs in the same process."""

    help = "Run one gateway pod (and, on embedded engines, the router) until SIGTERM, then drain."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the address to listen on."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        """Run until told to stop."""
        roles = runtime.ALL_ROLES if settings.EMBEDDED else frozenset({runtime.GATEWAY})
        if settings.ENV["CHAT_SERVER"] == "daphne":
            call_command("runserver", f"{host}:{port}", use_reloader=False)
            return
        try:
            runtime.run(host=host, port=port, roles=roles, on_ready=lambda: self._ready(host, port))
        except OSError as error:
            raise CommandError(f"cannot listen on {host}:{port}: {error.strerror}") from None
        except LogUnavailable as error:
            raise CommandError(str(error)) from None

    def _ready(self, host: str, port: int) -> None:
        self.stdout.write(f"gateway ready on http://{host}:{port}")
        sys.stdout.flush()
