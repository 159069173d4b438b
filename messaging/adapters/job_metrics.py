"""What a worker counts of its jobs. It is counted in the worker's own process, also where children run the jobs."""

import time
from typing import Any, Final

from billiard.einfo import ExceptionWithTraceback
from celery.exceptions import TaskPredicate
from celery.worker.request import Request
from prometheus_client import Counter, Histogram

QUEUED = Counter("chat_jobs_queued_total", "Jobs that this process handed to the broker.", ["task"])
WAIT = Histogram(
    "chat_job_wait_seconds",
    "From the moment at which a job was due to its start; the count is that of attempts.",
    ["task"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3600),
)
FAILED = Counter("chat_jobs_failed_total", "Attempts of jobs that failed for good.", ["task"])
RETRIED = Counter("chat_jobs_retried_total", "Attempts of jobs that failed and are tried again.", ["task"])

#: Header of a job: when it was queued (Unix s).
QUEUED_AT: Final = "chat_queued_at"


class CountedRequest(Request):  # type: ignore[misc]  # Celery has no types
    """One attempt of a job, as the worker's main process sees it."""

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """Note that it begins."""
        queued_at = self.request_dict.get(QUEUED_AT)
        if isinstance(queued_at, int | float):
            due = max(queued_at, self.eta.timestamp()) if self.eta else queued_at
            WAIT.labels(self.name).observe(max(0.0, time.time() - due))
        super().on_accepted(pid, time_accepted)

    def on_retry(self, exc_info: Any) -> None:
        """Note that it is tried again."""
        RETRIED.labels(self.name).inc()
        super().on_retry(exc_info)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Note that it failed, unless it only asks to be tried again or put back."""
        raised = exc_info.exception
        if isinstance(raised, ExceptionWithTraceback):
            raised = raised.exc
        if not isinstance(raised, TaskPredicate):
            FAILED.labels(self.name).inc()
        return super().on_failure(exc_info, send_failed_event, return_ok)
