"""``manage.py router``: run one router."""

from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand

from chatproject import runtime
from messaging.ports import LogUnavailable


class Command(BaseCommand):
    """Read the log, store and fan out until SIGTERM."""

    help = "Run one router until SIGTERM. On embedded engines the gateway has it inside, and this refuses."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until told to stop."""
        if settings.EMBEDDED:
            raise CommandError(
                "the embedded registry lives in the gateway's process; `manage.py gateway` routes as well"
            )
        try:
            runtime.run(host="", port=0, roles=frozenset({runtime.ROUTER}))
        except LogUnavailable as error:
            raise CommandError(str(error)) from None
