"""``manage.py worker``: the embedded Celery worker with its clock, one small process."""

import ctypes
import os
import signal
import sys
from argparse import ArgumentParser
from typing import Any, Final

from celery.beat import EmbeddedService
from django.conf import settings
from django.core.management.base import BaseCommand

from chatproject.celery import app
from messaging.adapters.embedded.jobs import requeue_running

_PR_SET_PDEATHSIG: Final = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when ``parent`` ends, also by ``kill -9``. Linux only; elsewhere no effect.

    The kernel watches the thread that started this process, so that thread has to live as long as the parent.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    # The parent may have gone before the kernel was asked to watch it.
    if os.getppid() != parent:
        raise SystemExit(1)


class Command(BaseCommand):
    """Run jobs until SIGTERM, then finish the ones at hand."""

    help = "Run the background jobs of an embedded installation. One worker per data directory."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--parent", type=int, help="End when the process with this id ends (Linux).")

    def handle(self, *, parent: int | None = None, **options: Any) -> None:
        """Take up what a killed worker left, then work."""
        if parent is not None:
            die_with_parent(parent)
        requeue_running(settings.JOBS_DIR)
        # Threads: no further processes to look after. A thread and not a child for the clock, for the same reason.
        clock = EmbeddedService(app, thread=True)
        worker = app.Worker(
            pool="threads",
            concurrency=2,
            loglevel=settings.ENV["CHAT_LOG_LEVEL"],
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            quiet=True,
        )
        clock.start()
        try:
            worker.start()
        finally:
            clock.stop()
        raise SystemExit(worker.exitcode or 0)
