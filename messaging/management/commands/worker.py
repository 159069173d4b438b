"""``manage.py worker``: runs the background jobs; on the embedded broker with their clock, as one small process."""

import ctypes
import os
import signal
import socket
import sys
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from celery.beat import EmbeddedService
from celery.signals import task_postrun, worker_process_init
from django.conf import settings
from django.core.management.base import BaseCommand

from chatproject import metrics
from chatproject.celery import app
from messaging.adapters.child_metrics import ChildMetrics, WithChildren
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


def _let_children_count(folder: Path) -> None:
    """Have each child of this worker leave its numbers in ``folder`` after every job."""
    children: list[ChildMetrics] = []

    def begin(**_: Any) -> None:
        children[:] = [ChildMetrics(folder)]

    def leave(**_: Any) -> None:
        for child in children:
            child.leave()

    worker_process_init.connect(begin, weak=False)
    task_postrun.connect(leave, weak=False)


class Command(BaseCommand):
    """Run jobs until SIGTERM, then finish the ones at hand."""

    help = (
        "Run the background jobs. With CHAT_JOBS=embedded: one worker per data directory, and it has the clock. "
        "With CHAT_JOBS=redis: any number of workers, and one `manage.py beat` for all."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--parent", type=int, help="End when the process with this id ends (Linux).")
        parser.add_argument("--metrics-port", type=int, help="In place of CHAT_METRICS_PORT.")
        parser.add_argument("--concurrency", type=int, default=2, help="Jobs at a time (default: %(default)s).")

    def handle(
        self, *, concurrency: int, parent: int | None = None, metrics_port: int | None = None, **options: Any
    ) -> None:
        """Work until told to stop."""
        if parent is not None:
            die_with_parent(parent)
        port = settings.ENV["CHAT_METRICS_PORT"] if metrics_port is None else metrics_port
        if settings.ENV["CHAT_JOBS"] == "redis":
            with TemporaryDirectory(prefix="chat-worker-") as folder:
                _let_children_count(Path(folder))
                metrics.listen(port, WithChildren(Path(folder)))
                self._work("prefork", concurrency)
        metrics.listen(port)
        # Take up what a killed worker left.
        requeue_running(settings.JOBS_DIR)
        # Threads: no further processes to look after. A thread and not a child for the clock, for the same reason.
        clock = EmbeddedService(app, thread=True)
        clock.start()
        try:
            self._work("threads", concurrency)
        finally:
            clock.stop()

    def _work(self, pool: str, concurrency: int) -> None:
        worker = app.Worker(
            pool=pool,
            concurrency=concurrency,
            # Several on one machine are told apart in the results.
            hostname=f"worker-{os.getpid()}@{socket.gethostname()}",
            loglevel=settings.ENV["CHAT_LOG_LEVEL"],
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            quiet=True,
        )
        worker.start()
        raise SystemExit(worker.exitcode or 0)
