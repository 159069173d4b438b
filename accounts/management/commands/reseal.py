"""``manage.py reseal``: after another secret key, so that the one before can go (docs/operations.md)."""

from typing import Any

from cryptography.fernet import InvalidToken
from django.core.management.base import BaseCommand, CommandError

from accounts.mfa import reseal


class Command(BaseCommand):
    """Seal second factors with the present CHAT_SECRET_KEY."""

    help = "Seal second factors with the present CHAT_SECRET_KEY. CHAT_SECRET_KEY_FALLBACKS can be emptied then."

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, or change nothing."""
        try:
            rows = reseal()
        except InvalidToken:
            raise CommandError("a second factor was sealed by a key that is in none of the variables") from None
        self.stdout.write(f"{rows} sealed with the present key")
