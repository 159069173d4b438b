"""``manage.py beat``: the clock of the periodic jobs, where the workers are several."""

import signal
import sys
from argparse import ArgumentParser
from typing import Any

from celery.beat import Service
from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand

from chatproject import metrics
from chatproject.celery import app
from messaging.management.commands.worker import die_with_parent


class Command(BaseCommand):
    """Queue the jobs of CELERY_BEAT_SCHEDULE at their times until SIGTERM."""

    help = "Run the clock of the periodic jobs with CHAT_JOBS=redis: one for all workers."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--parent", type=int, help="End when the process with this id ends (Linux).")
        parser.add_argument("--metrics-port", type=int, help="In place of CHAT_METRICS_PORT.")

    def handle(self, *, parent: int | None = None, metrics_port: int | None = None, **options: Any) -> None:
        """Run until told to stop."""
        if settings.ENV["CHAT_JOBS"] == "embedded":
            raise CommandError("the embedded worker has the clock; `manage.py worker` is all it takes")
        if parent is not None:
            die_with_parent(parent)
        metrics.listen(settings.ENV["CHAT_METRICS_PORT"] if metrics_port is None else metrics_port)
        # The clock sleeps; an exception wakes it, and it saves its schedule on the way out.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        Service(app).start()
