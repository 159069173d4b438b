"""What is kept of jobs for the admin: names, states, attempts, errors; never their arguments (docs/decisions/0012).

The arguments of some jobs are secrets (a mail with a link that resets a password) or private (what people write).
Celery puts a printed form of them into the message's headers, the worker's events and the results; ours says nothing,
unless whoever queues a job gives ``argsrepr`` or ``kwargsrepr``: texts that everybody who sees the admin may read.
"""

import time
from typing import Any, Final

from celery.contrib.django.task import DjangoTask
from django_celery_results.backends.database import DatabaseBackend

from messaging.adapters.job_metrics import QUEUED, QUEUED_AT

NOT_SHOWN: Final = "not shown"


class Job(DjangoTask):  # type: ignore[misc]  # Celery has no types
    """The base of all tasks."""

    abstract = True
    Request = "messaging.adapters.job_metrics:CountedRequest"

    def apply_async(self, args: Any = None, kwargs: Any = None, *more: Any, **options: Any) -> Any:
        """Queue the job; its arguments are not shown anywhere."""
        options.setdefault("argsrepr", NOT_SHOWN)
        options.setdefault("kwargsrepr", NOT_SHOWN)
        options["headers"] = {**(options.get("headers") or {}), QUEUED_AT: time.time()}
        queued = super().apply_async(args, kwargs, *more, **options)
        QUEUED.labels(self.name).inc()
        return queued

    def signature_from_request(self, request: Any = None, *args: Any, **options: Any) -> Any:
        """Return the same job for a retry, shown as the first was."""
        shown = self.request if request is None else request
        options.setdefault("argsrepr", shown.get("argsrepr"))
        options.setdefault("kwargsrepr", shown.get("kwargsrepr"))
        return super().signature_from_request(request, *args, **options)


class ResultBackend(DatabaseBackend):  # type: ignore[misc]
    """django-celery-results' table, with the number of attempts so far in ``meta``."""

    def _get_meta_from_request(self, request: Any = None) -> dict[str, Any]:
        meta = super()._get_meta_from_request(request)
        return meta if request is None else {**meta, "attempts": request.retries + 1}
