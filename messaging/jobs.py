"""Handing work to the jobs, whose broker may be away (docs/decisions/0012)."""

from typing import Any

from kombu.exceptions import OperationalError


def queued(task: Any, *args: Any) -> bool:
    """Queue a job of a Celery task; return whether the broker took it. Never raises for a broker that is away."""
    try:
        task.delay(*args)
    except (OperationalError, OSError):
        return False
    return True
