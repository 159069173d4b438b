"""Jobs for the staff: what ran, how often it was tried, and what became of it; and which conversations are hot."""

import json
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django_celery_results.models import GroupResult, TaskResult

from accounts.staff import ReadOnly
from chatproject import container
from messaging.compliance.forms import SpreadForm
from messaging.compliance.hot import spread
from messaging.domain.errors import ChatError
from messaging.domain.ids import UserId, conversation_ref
from messaging.models import HotConversation

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


@admin.register(HotConversation)
class HotConversationAdmin(ReadOnly):
    """Which conversations are spread over sub-partitions; one page, where operators spread others or gather them."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show them; spread one, for who may."""
        form = SpreadForm(request.POST or None)
        may_change = request.user.has_perm("messaging.change_hotconversation")
        if not self.has_view_permission(request) or (request.method == "POST" and not may_change):
            raise PermissionDenied
        if request.method == "POST" and form.is_valid():
            try:
                spread(
                    conversation_id=form.cleaned_data["conversation"],
                    k=form.cleaned_data["k"],
                    actor=UserId(request.user.pk or 0),
                    reason=form.cleaned_data["reason"],
                )
            except ChatError as error:
                messages.error(request, f"{error.detail}.".capitalize())
            else:
                messages.success(request, "Every gateway knows within 30 s.")
                return HttpResponseRedirect(request.path)
        found = container.conversation_store().spread()
        hottest = sorted(found.items(), key=lambda it: (-it[1], it[0]))
        context = {
            **self.admin_site.each_context(request),
            "title": "Hot conversations",
            "opts": self.opts,
            "hot": [(conversation_ref(conversation), k) for conversation, k in hottest],
            "form": form if may_change else None,
        }
        return TemplateResponse(request, "admin/messaging/hot.html", context)
