"""Jobs for the tests: each leaves traces in a directory, as they run in other processes."""

import os
import time
from pathlib import Path

import msgspec
from celery import Task, shared_task
from prometheus_client import Counter

from messaging.dispatcher import unpack

COUNTED = Counter("chat_test_counted_total", "Runs of a job of the tests.")


def trace(folder: str, line: str) -> None:
    """Append a line to what the jobs in ``folder`` did."""
    with (Path(folder) / "trace").open("a") as file:
        file.write(f"{line}\n")


@shared_task
def say(folder: str, text: str) -> int:
    """Leave a trace and return its length."""
    trace(folder, text)
    return len(text)


@shared_task(bind=True, max_retries=5)
def succeed_at(self: Task, folder: str, attempt: int) -> str:
    """Fail until the ``attempt``-th time."""
    trace(folder, f"attempt {self.request.retries + 1}")
    if self.request.retries + 1 < attempt:
        raise self.retry(exc=ValueError("not yet"), countdown=0.1)
    return "at last"


@shared_task
def count() -> None:
    """Count itself."""
    COUNTED.inc()


@shared_task
def fail() -> None:
    """Fail for good."""
    raise ValueError("for good")


@shared_task
def wait(folder: str) -> None:
    """Say who begins, wait until a file named ``go`` is there, and say that it ended."""
    trace(folder, f"begun {os.getpid()}")
    while not (Path(folder) / "go").exists():
        time.sleep(0.05)
    trace(folder, "ended")


@shared_task
def tick() -> None:
    """Happen."""


@shared_task
def collect(batch: list[dict[str, object]]) -> int:
    """Leave the payloads of a batch of records in the directory that each record's key names."""
    for record in unpack(batch):
        trace(record.key.decode(), msgspec.msgpack.decode(record.payload))
    return len(batch)
