"""Jobs for the staff: what ran, how often it was tried, and what became of it; and conversations, hot and others."""

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django_celery_results.models import GroupResult, TaskResult

from accounts.selectors.people import names_on_file
from accounts.staff import Fact, ReadOnly, tells_overview
from chatproject import container
from messaging.compliance import dossiers
from messaging.compliance.admin import named
from messaging.compliance.forms import ONE_OF, LookForm, LookUpForm, ReasonForm, SpreadForm
from messaging.compliance.hot import spread
from messaging.compliance.why import actor_of, sentence
from messaging.domain import ids
from messaging.domain.errors import ChatError
from messaging.domain.ids import ConversationId, UserId, conversation_ref, user_ref
from messaging.models import ConversationRecord, HotConversation

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
                messages.error(request, sentence(error))
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


@admin.register(ConversationRecord)
class ConversationAdmin(ReadOnly):
    """Conversations, wherever they are stored: looked up by id, or by who is in them. Nobody's text is here.

    What everybody with the permission sees is facts. Names and members, and where somebody is, are shown for a reason.
    """

    def get_urls(self) -> list[URLPattern]:
        """Add the page of one, in the place of what a table would have."""
        one = path("<str:ref>/", self.admin_site.admin_view(self.one_view), name="messaging_conversationrecord_one")
        return [*super().get_urls()[:1], one]

    def _may_look(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("messaging.view_members"))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Look one up by its id; or those of a person, for a reason."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context: dict[str, Any] = {**self.admin_site.each_context(request), "title": "Conversations", "opts": self.opts}
        by_id = LookUpForm(request.GET if "conversation" in request.GET else None, auto_id="by_id_%s")
        if by_id.is_bound and by_id.is_valid():
            return redirect(
                "admin:messaging_conversationrecord_one", conversation_ref(by_id.cleaned_data["conversation"])
            )
        context["by_id"] = by_id
        if self._may_look(request):
            by_person = LookForm(request.POST or None, initial={"user": request.GET.get("user", "")})
            context["by_person"] = by_person
            if request.method == "POST" and by_person.is_valid():
                context |= self._places(request, by_person.cleaned_data)
        elif request.method == "POST":
            raise PermissionDenied
        return TemplateResponse(request, "admin/messaging/conversations.html", context)

    def _places(self, request: HttpRequest, asked: dict[str, Any]) -> dict[str, Any]:
        user, after = UserId(asked["user"]), ConversationId(asked["after"] or 0)
        places, more = dossiers.places_of(user, actor=actor_of(request), reason=asked["reason"], after=after)
        rows = [
            (
                it.ref,
                ONE_OF.get(it.kind or "", "not there any more"),
                it.place.role.value,
                it.place.joined_at,
                it.left_at,
            )
            for it in places
        ]
        return {
            "person": f"{named(user)}, {user_ref(user)}",
            "user_ref": user_ref(user),
            "reason": asked["reason"],
            "rows": rows,
            "after": places[-1].place.conversation_id if more else None,
        }

    def one_view(self, request: HttpRequest, ref: str) -> HttpResponse:
        """Show what there is to know of a conversation; its name and members for a reason."""
        if not self.has_view_permission(request) or (request.method == "POST" and not self._may_look(request)):
            raise PermissionDenied
        try:
            conversation_id = ids.parse_conversation(ref)
            facts = dossiers.facts_of(conversation_id)
        except (ids.InvalidId, ChatError):
            messages.error(request, "There is no such conversation.")
            return redirect("admin:messaging_conversationrecord_changelist")
        form = ReasonForm(request.POST or None)
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": f"Conversation {ref}",
            "opts": self.opts,
            "ref": ref,
            "facts": facts,
            "kind": ONE_OF[facts.conversation.type],
            "holds": self._holds(request, facts),
            "form": form if self._may_look(request) else None,
        }
        creator = facts.conversation.created_by
        context["members_asked"] = request.method == "POST" and form.is_valid()
        if context["members_asked"]:
            name, members, more = dossiers.members_of(
                conversation_id, actor=actor_of(request), reason=form.cleaned_data["reason"]
            )
            cards = names_on_file([creator]) if creator is not None else {}
            context |= {
                "name": name,
                "creator": "" if creator is None else named(creator, cards),
                "more": more,
                "members": [
                    (
                        user_ref(it.place.user_id),
                        named(it.place.user_id, {} if it.card is None else {it.place.user_id: it.card}),
                        it.place.role.value,
                        it.place.joined_at,
                    )
                    for it in members
                ],
            }
        return TemplateResponse(request, "admin/messaging/conversation.html", context)

    def _holds(self, request: HttpRequest, facts: dossiers.Facts) -> str | None:
        """Return what of it is held, for those who may know of holds at all."""
        if not request.user.has_perm("compliance.view_hold"):
            return None
        if not facts.held:
            return "nothing"
        spans = [
            "all of it" if first == 0 and last == ids.MAX_ID else _span(first, last)
            for first, last in facts.held.ranges
        ]
        return "; ".join(spans)


def _span(first: int, last: int) -> str:
    begin = "the beginning" if first == 0 else f"{dossiers.time_of(ids.MessageId(first)):%-d %b %Y, %H:%M} UTC"
    end = "now on" if last == ids.MAX_ID else f"{dossiers.time_of(ids.MessageId(last)):%-d %b %Y, %H:%M} UTC"
    return f"from {begin} to {end}"


@tells_overview
def how_jobs_go(request: HttpRequest) -> Iterable[Fact]:
    """Tell which jobs failed within a day, and which conversations are hot."""
    may = request.user.has_perm
    if may("django_celery_results.view_taskresult"):
        url = reverse("admin:django_celery_results_taskresult_changelist")
        day = timezone.now() - timedelta(days=1)
        ended = TaskResult.objects.filter(date_done__gte=day)
        failed, retried = ended.filter(status="FAILURE").count(), ended.filter(status="RETRY").count()
        text = f"{failed} failed for good within a day, {retried} are tried again"
        yield Fact("Jobs", text, f"{url}?status__exact=FAILURE" if failed else url, failed > 0)
    if may("messaging.view_hotconversation"):
        number = len(container.conversation_store().spread())
        text = "none is spread" if not number else f"{number} spread over sub-partitions"
        yield Fact("Hot conversations", text, reverse("admin:messaging_hotconversation_changelist"))
