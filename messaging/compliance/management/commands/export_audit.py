"""``manage.py export_audit``: the audit log as JSON Lines."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from messaging.compliance import audit


class Command(BaseCommand):
    """Print the log; that it was done becomes an entry, the last one printed."""

    help = "Print the audit log as JSON Lines, as verify_audit reads it: entries, and checkpoints after theirs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--since", type=int, default=1, help="Number of the first entry.")
        parser.add_argument("--case", default="", help="Case reference, for the log's own entry about this export.")

    def handle(self, *, since: int, case: str, **options: Any) -> None:
        """Write down that it is exported, then print it."""
        audit.record(
            audit.Action.AUDIT_EXPORTED,
            actor=None,
            object="audit",
            case=case,
            details={"since": since, "by": "command"},
        )
        for line in audit.lines(since=since):
            self.stdout.write(json.dumps(line, ensure_ascii=False, sort_keys=True))
