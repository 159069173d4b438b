"""Jobs for the staff: what ran, how often it was tried, and what became of it. Read-only."""

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django_celery_results.models import GroupResult, TaskResult

# Groups are not used here, and results are not edited.
admin.site.unregister([TaskResult, GroupResult])


@admin.register(TaskResult)
class JobAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Jobs, newest first. Their arguments are not kept (docs/decisions/0012)."""

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

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Jobs are queued by the program."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What happened cannot be changed."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Old results go by themselves."""
        return False
