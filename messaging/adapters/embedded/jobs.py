"""A Celery broker made of files, for one machine (docs/decisions/0006-embedded-jobs.md).

kombu has a file transport that loses a job when the worker is killed while it runs, and that lets a reader see a
half-written file. This one differs in three ways: a job appears whole or not at all, its file stays in ``running/``
until the job is acknowledged, and the next worker takes up again what a killed one left there. Jobs are therefore
done at least once, and have to be idempotent.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem, virtual
from kombu.utils.json import dumps, loads


def broker_options(folder: Path) -> dict[str, str]:
    """Return the transport options for a broker in ``folder``; the directories exist then, closed to other users."""
    options = {
        "data_folder_in": folder / "waiting",
        "processed_folder": folder / "running",
        "control_folder": folder / "control",
    }
    for path in options.values():
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {name: str(path) for name, path in options.items()} | {"data_folder_out": str(folder / "waiting")}


def requeue_running(folder: Path) -> int:
    """Put the jobs that a killed worker was at back in line; return how many.

    Only the one worker calls it, before it takes its first job.
    """
    left = sorted((folder / "running").glob("*.msg"))
    for path in left:
        path.replace(folder / "waiting" / path.name)
    return len(left)


class JobQoS(virtual.QoS):
    """Forgets a job's file once the job is acknowledged."""

    def ack(self, delivery_tag: str) -> None:
        """Count the job as done."""
        super().ack(delivery_tag)  # type: ignore[no-untyped-call]
        self.channel.forget(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Count the job as done, or put it back."""
        super().reject(delivery_tag, requeue=requeue)  # type: ignore[no-untyped-call]
        self.channel.forget(delivery_tag)


class Channel(filesystem.Channel):
    """Jobs as files named ``<Unix ms>_<delivery tag>.<queue>.msg``, so that names sort by age, also over a reboot."""

    QoS = JobQoS

    @property
    def _waiting(self) -> Path:
        return Path(self.data_folder_out)

    @property
    def _running(self) -> Path:
        return Path(self.processed_folder)

    def _of_queue(self, queue: str) -> Iterator[Path]:
        return (path for path in sorted(self._waiting.iterdir()) if path.name.partition(".")[2] == f"{queue}.msg")

    def _put(  # type: ignore[override]  # kombu disagrees with itself about the names
        self, queue: str, message: dict[str, Any], **kwargs: Any
    ) -> None:
        tag = message["properties"]["delivery_tag"]
        name = f"{time.time_ns() // 1_000_000:014d}_{tag}.{queue}.msg"
        draft = self._waiting / f"{name}.draft"
        with draft.open("x") as file:
            file.write(dumps(message))  # type: ignore[no-untyped-call]
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._waiting / name)
        # A job that is put back at an orderly end is waiting again, and no longer running.
        self.forget(tag)

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        for path in self._of_queue(queue):
            taken = self._running / path.name
            try:
                path.rename(taken)
            except FileNotFoundError:
                continue
            payload: dict[str, Any] = loads(taken.read_text())  # type: ignore[no-untyped-call]
            return payload
        raise Empty

    def forget(self, delivery_tag: str) -> None:
        """Remove the job's file from ``running/``; no error where there is none."""
        for path in self._running.glob(f"*_{delivery_tag}.*"):
            path.unlink(missing_ok=True)


class Transport(filesystem.Transport):
    """kombu's door to it: ``messaging.adapters.embedded.jobs:Transport``."""

    Channel = Channel
    #: Seconds between two looks at a folder without a job for whoever is free. kombu's own second would let through two
    #: jobs a second, and a look costs a tenth of a millisecond.
    polling_interval = 0.05
    driver_type = driver_name = "embedded-jobs"
