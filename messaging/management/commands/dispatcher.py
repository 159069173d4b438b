"""``manage.py dispatcher``: run one dispatcher."""

from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand

from chatproject import runtime
from messaging.ports import LogUnavailable


class Command(BaseCommand):
    """Hand records of the log to jobs until SIGTERM."""

    help = "Run one dispatcher until SIGTERM. On embedded engines the gateway has it inside, and this refuses."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until told to stop."""
        if settings.EMBEDDED:
            raise CommandError("`manage.py gateway` dispatches as well on embedded engines")
        try:
            runtime.run(host="", port=0, roles=frozenset({runtime.DISPATCHER}))
        except LogUnavailable as error:
            raise CommandError(str(error)) from None
