"""``manage.py vapid_key``: makes the key pair of Web Push."""

from typing import Any

from django.core.management.base import BaseCommand

from push.vapid import new_private_key, public_key


class Command(BaseCommand):
    """Print a fresh key pair; nothing is stored."""

    help = "Make a key pair for Web Push. Put the first line into every process's environment, and keep it."
    requires_system_checks = []

    def handle(self, **options: Any) -> None:
        """Print the private key as a variable, and the public one as a remark."""
        private = new_private_key()
        self.stdout.write(f"CHAT_VAPID_PRIVATE_KEY={private}")
        self.stdout.write(f"# public: {public_key(private)}")
