"""Jobs for the staff: what ran, how often it was tried, and what became of it. Read-only."""

import json

from django.contrib import admin
from django_celery_results.models import GroupResult, TaskResult

from accounts.staff import ReadOnly

# Groups are not used here, and results are not edited.
admin.site.unregister([TaskResult, GroupResult])


@admin.register(TaskResult)
class JobAdmin(ReadOnly):
    """Jobs, newest first; old results go by themselves. Their arguments are not kept (docs/decisions/0012)."""

    list_display = ["task_name", "status", "attempts", "date_created", "date_started", "date_done", "worker"]
    list_filter = ["status", "task_name", "worker", "date_done"]
    search_fields = ["task_id", "task_name"]
    date_hierarchy = "date_done"
    fields = (
        "task_id",
        "task_name",
        "task_args",
        "task_kwargs",
        "status",
        "attempts",
        "worker",
        "date_created",
        "date_started",
        "date_done",
        "result",
        "traceback",
    )
    readonly_fields = fields

    @admin.display(description="attempts")
    def attempts(self, job: TaskResult) -> int | None:
        """Return how often it was begun, so far."""
        attempts: int | None = json.loads(job.meta or "{}").get("attempts")
        return attempts
