"""``manage.py audit_key``: makes the key pair that signs checkpoints of the audit log."""

from typing import Any

from django.core.management.base import BaseCommand

from messaging.compliance.signing import new_private_key, public_key


class Command(BaseCommand):
    """Print a fresh key pair; nothing is stored."""

    help = "Make the key pair of the audit log. The first line belongs into the workers' environment, the second away."
    requires_system_checks = []

    def handle(self, **options: Any) -> None:
        """Print the private key as a variable, and the public one as a remark."""
        private = new_private_key()
        self.stdout.write(f"CHAT_AUDIT_KEY={private}")
        self.stdout.write(f"# public, for verify_audit --key: {public_key(private)}")
