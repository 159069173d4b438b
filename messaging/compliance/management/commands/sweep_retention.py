"""``manage.py sweep_retention``: deletes what is over its time, or says what would be deleted."""

import time
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from messaging.compliance import retention
from messaging.domain.ids import conversation_ref


def _days(span: timedelta | None) -> str:
    return "never" if span is None else f"{span.total_seconds() / 86_400:g} d"


class Command(BaseCommand):
    """Sweep to the end, and print the figures."""

    help = "Delete what is over its time, from every copy, but for what is held; go on with a sweep that stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--dry-run", action="store_true", help="Change nothing; print what each conversation has.")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        """Sweep, or look."""
        if dry_run:
            counts, _ = retention.dry_run(now=timezone.now(), tell=self._tell)
            self.stdout.write(
                f"{counts.conversations} conversations: {counts.due} messages due,"
                f" {counts.deleted} would go, {counts.held} are held"
            )
            return
        sweep = retention.begin()
        if not retention.go_on(sweep, until=time.monotonic() + timedelta(days=7).total_seconds()):
            raise CommandError("another process is sweeping")
        sweep.refresh_from_db()
        self.stdout.write(
            f"{sweep.conversations} conversations: {sweep.due} messages due,"
            f" {sweep.deleted} deleted, {sweep.held} held, {sweep.failed} conversations failed"
        )

    def _tell(self, line: retention.Line) -> None:
        self.stdout.write(
            f"{conversation_ref(line.conversation_id)}: hidden after {_days(line.rule.hidden_after)}, deleted after"
            f" {_days(line.rule.deleted_after)}: {line.counts.due} due, {line.counts.held} held"
        )
