"""``manage.py verify_audit``: finds any entry of the audit log that was altered, removed or moved."""

import json
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from messaging.compliance import audit, chain, signing


def _lines(file: Iterable[str]) -> Iterator[dict[str, Any]]:
    for text in file:
        if text.strip():
            try:
                line = json.loads(text)
            except ValueError:
                line = {}
            yield line if isinstance(line, dict) else {}


class Command(BaseCommand):
    """Say what was read, and every problem; exit 1 where there is one."""

    help = "Verify the audit log in the database, or one that export_audit printed: with a FILE no database is asked."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("file", nargs="?", metavar="FILE", help="An export; without it the database is read.")
        parser.add_argument(
            "--key",
            action="append",
            default=[],
            metavar="PUBLIC_KEY",
            help="A public key whose checkpoints are trusted; may be repeated. Without it: that of CHAT_AUDIT_KEY.",
        )

    def handle(self, *, file: str | None, key: list[str], **options: Any) -> None:
        """Read, and report."""
        keys = key or ([signing.public_key(settings.AUDIT_KEY)] if settings.AUDIT_KEY else [])
        try:
            verifier = chain.Verifier(keys) if file else audit.verify(keys=keys)
            if file:
                with open(file, encoding="utf-8") as opened:
                    for line in _lines(opened):
                        verifier.read(line)
        except ValueError:
            raise CommandError("a --key is none") from None
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from None
        self.stdout.write(
            f"{verifier.entries} entries, {verifier.first} to {verifier.last};"
            f" {verifier.checkpoints} checkpoints, attested up to {verifier.attested}"
        )
        if verifier.first > 1:
            self.stdout.write(f"entries 1 to {verifier.first - 1} are not in the file: what they were is not verified")
        if verifier.problems:
            raise CommandError("\n".join(verifier.problems))
        self.stdout.write("Nothing was altered, removed or moved.")
