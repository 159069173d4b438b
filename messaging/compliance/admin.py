"""The pages of compliance for the staff: each act goes through its service, which writes the audit log.

Who may see or do what is in ``roles.py``. Nothing that anybody wrote in a chat is on these pages.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from accounts.staff import ReadOnly
from messaging.compliance import exports, holds
from messaging.compliance.audit import Action, record
from messaging.compliance.forms import ExportForm, HoldForm, JurisdictionForm, PolicyForm, ReasonForm
from messaging.compliance.models import AuditCheckpoint, AuditEntry, Export, Hold, Jurisdiction, RetentionPolicy, Sweep
from messaging.domain.errors import ChatError
from messaging.domain.ids import UserId, conversation_ref, user_ref
from messaging.streaming import from_thread


def _actor(request: HttpRequest) -> UserId:
    # Nobody gets to these pages who is not signed in.
    assert request.user.pk is not None
    return UserId(request.user.pk)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly):
    """The audit log, newest first."""

    list_display = ["seq", "at", "actor", "action", "object", "case", "short_reason"]
    list_filter = ["action", "at"]
    search_fields = ["=actor", "=object", "=case", "reason"]
    search_help_text = "Actor (u_…, system), object (m_…, c_…, u_…, hold/12) or case as a whole; or a part of a reason."
    date_hierarchy = "at"
    ordering = ["-seq"]
    show_full_result_count = False

    @admin.display(description="reason")
    def short_reason(self, entry: AuditEntry) -> str:
        """Return the begin of the reason."""
        return entry.reason if len(entry.reason) <= 80 else f"{entry.reason[:79]}…"


@admin.register(AuditCheckpoint)
class AuditCheckpointAdmin(ReadOnly):
    """Signatures over entries of the audit log."""

    list_display = ["seq", "at", "key"]
    ordering = ["-seq"]


@admin.register(Sweep)
class SweepAdmin(ReadOnly):
    """What each sweep found and did."""

    list_display = ["id", "started_at", "finished_at", "conversations", "due", "deleted", "held", "failed"]
    ordering = ["-id"]


class Filed(admin.ModelAdmin):  # type: ignore[type-arg]
    """What a service takes from a form, and what stays on record then: what may be done to it asks for a reason.

    ``shown``: what there is to read of one that is there.
    """

    shown: tuple[str, ...]
    search_fields = ["=case"]
    ordering = ["-id"]
    actions = None

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form's fields, or all there is to read."""
        return self.form.Meta.fields if obj is None else self.shown  # type: ignore[attr-defined]  # a model's form

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes one by its fields."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """It stays on record."""
        return False

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Show and take the form; what the service refuses is said on it."""
        try:
            # Or the entry and what it tells of would outlive a failure after them.
            with transaction.atomic():
                return super().add_view(request, form_url, extra_context)
        except ChatError as error:
            self.message_user(request, error.detail, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def _page(self, pk: int) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[pk])

    def _with_reason(
        self, request: HttpRequest, pk: int, *, title: str, act: Callable[[str], HttpResponseBase | None]
    ) -> HttpResponseBase:
        """Ask for a reason, and act with it; answer with what that gives, or lead back to the page of ``pk``."""
        form = ReasonForm(request.POST or None)
        if request.method != "POST" or not form.is_valid():
            context = {
                **self.admin_site.each_context(request),
                "title": title,
                "form": form,
                "back": self._page(pk),
                "opts": self.opts,
            }
            return TemplateResponse(request, "admin/compliance/reason.html", context)
        try:
            answer = act(form.cleaned_data["reason"])
        except ChatError as error:
            self.message_user(request, error.detail, messages.ERROR)
            return HttpResponseRedirect(self._page(pk))
        if answer is not None:
            return answer
        self.message_user(request, "It is done, and written down.", messages.SUCCESS)
        return HttpResponseRedirect(self._page(pk))


@admin.register(Hold)
class HoldAdmin(Filed):
    """Legal holds: placed by one, released by two."""

    form = HoldForm
    list_display = ["id", "case", "what", "placed_at", "state"]
    list_filter = ["released_at"]
    change_form_template = "admin/compliance/hold.html"
    shown = (
        *("case", "what", "begins_at", "ends_at", "reason", "state", "placed_at", "who_placed"),
        *("release_requested_at", "who_asked", "released_at", "who_released"),
    )

    @admin.display(description="what")
    def what(self, hold: Hold) -> str:
        """Return what is held."""
        if hold.user_id is not None:
            return user_ref(hold.user_id)
        return "everything" if hold.conversation_id is None else conversation_ref(hold.conversation_id)

    @admin.display(description="state")
    def state(self, hold: Hold) -> str:
        """Return where it stands."""
        if hold.released_at is not None:
            return "released"
        return "held" if hold.release_requested_at is None else "held; its release is asked for"

    @admin.display(description="placed by")
    def who_placed(self, hold: Hold) -> str:
        """Return who placed it."""
        return user_ref(hold.placed_by)

    @admin.display(description="release asked for by")
    def who_asked(self, hold: Hold) -> str:
        """Return who asked for its release."""
        return "-" if hold.release_requested_by is None else user_ref(hold.release_requested_by)

    @admin.display(description="released by")
    def who_released(self, hold: Hold) -> str:
        """Return who agreed to it."""
        return "-" if hold.released_by is None else user_ref(hold.released_by)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Place it."""
        placed = holds.place_hold(actor=_actor(request), new=form.new())
        obj.pk = placed.pk

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show a hold, with what may be done to it now."""
        hold = Hold.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        acts: list[tuple[str, str]] = []
        if hold is not None and hold.released_at is None and self._may_release(request):
            if hold.release_requested_by is None:
                acts.append(("request", "Ask for its release"))
            else:
                if hold.release_requested_by != _actor(request):
                    acts.append(("approve", "Agree to its release"))
                acts.append(("refuse", "Let it stand"))
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "acts": acts})

    def _may_release(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("compliance.release_hold"))

    def get_urls(self) -> list[URLPattern]:
        """Add the pages of release."""
        act = path("<int:pk>/release/<str:act>/", self.admin_site.admin_view(self.act_view), name="compliance_hold_act")
        return [act, *super().get_urls()]

    def act_view(self, request: HttpRequest, pk: int, act: str) -> HttpResponseBase:
        """Ask for a reason, and do it."""
        acts = {"request": holds.request_release, "approve": holds.approve_release, "refuse": holds.refuse_release}
        titles = {"request": "Ask for the release of", "approve": "Agree to the release of", "refuse": "Let stand"}
        hold = Hold.objects.filter(pk=pk).first()
        if act not in acts or hold is None:
            return HttpResponseRedirect(self._page(pk))
        if not self._may_release(request):
            raise PermissionDenied
        return self._with_reason(
            request,
            pk,
            title=f"{titles[act]} hold {pk} (case {hold.case})",
            act=lambda reason: acts[act](actor=_actor(request), hold_id=pk, reason=reason),
        )


@admin.register(Export)
class ExportAdmin(Filed):
    """Exports for a case. Nothing of what is in them is on these pages."""

    form = ExportForm
    list_display = ["id", "case", "state", "progress", "requested_at", "expires_at"]
    list_filter = ["state"]
    change_form_template = "admin/compliance/export.html"
    shown = (
        *("case", "which_users", "which_conversations", "begins_at", "ends_at", "reason", "requested_at"),
        *("who_requested", "state", "progress", "error", "ready_at", "expires_at", "how_large", "digest"),
    )

    @admin.display(description="progress")
    def progress(self, export: Export) -> str:
        """Return how far it is, or what is in it."""
        if export.state == Export.State.REQUESTED:
            return "-"
        found = f"{export.conversations_done} of {export.conversations_found} conversations"
        missing = f" ({export.media_missing} missing)" if export.media_missing else ""
        return f"{found}, {export.messages} messages, {export.media} files{missing}"

    @admin.display(description="users")
    def which_users(self, export: Export) -> str:
        """Return whose conversations are in it."""
        return ", ".join(export.users) or "-"

    @admin.display(description="conversations")
    def which_conversations(self, export: Export) -> str:
        """Return which conversations were named."""
        return ", ".join(export.conversations) or "-"

    @admin.display(description="size")
    def how_large(self, export: Export) -> str:
        """Return the size of the file."""
        return filesizeformat(export.size) if export.size else "-"

    @admin.display(description="SHA-256")
    def digest(self, export: Export) -> str:
        """Return the hash of the file."""
        return export.sha256 or "-"

    @admin.display(description="requested by")
    def who_requested(self, export: Export) -> str:
        """Return who asked for it."""
        return user_ref(export.requested_by)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Ask for it."""
        obj.pk = exports.request_export(actor=_actor(request), new=form.new()).pk

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show an export, with what may be done with it now."""
        export = Export.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        acts: list[tuple[str, str]] = []
        waiting = export is not None and export.state in (Export.State.REQUESTED, Export.State.MAKING)
        ready = export is not None and export.state == Export.State.READY
        if ready and request.user.has_perm("compliance.download_export"):
            acts.append(("download", "Download"))
        if (ready or waiting) and request.user.has_perm("compliance.end_export"):
            acts.append(("end", "Delete the file" if ready else "Cancel"))
        context = {**(extra_context or {}), "acts": acts, "waiting": waiting}
        return super().change_view(request, object_id, form_url, context)

    def get_urls(self) -> list[URLPattern]:
        """Add the pages that ask for a reason."""
        view = self.admin_site.admin_view
        download = path("<int:pk>/download/", view(self.download_view), name="compliance_export_download")
        end = path("<int:pk>/end/", view(self.end_view), name="compliance_export_end")
        return [download, end, *super().get_urls()]

    def download_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Ask for a reason, and give the file out."""
        if not request.user.has_perm("compliance.download_export"):
            raise PermissionDenied

        def give(reason: str) -> HttpResponseBase:
            export, pieces = exports.open_file(actor=_actor(request), export_id=pk, reason=reason)
            headers = {
                "Content-Disposition": f'attachment; filename="export-{export.pk}.zip"',
                "Content-Length": str(export.size),
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
            }
            return StreamingHttpResponse(from_thread(pieces), content_type="application/zip", headers=headers)

        return self._with_reason(request, pk, title=f"Download export {pk}", act=give)

    def end_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Ask for a reason, and cancel it or delete its file."""
        if not request.user.has_perm("compliance.end_export"):
            raise PermissionDenied
        return self._with_reason(
            request,
            pk,
            title=f"End export {pk}",
            act=lambda reason: exports.end(actor=_actor(request), export_id=pk, reason=reason),
        )


class Recorded(admin.ModelAdmin):  # type: ignore[type-arg]
    """What is changed here with a reason, which goes into the audit log with what it was and is.

    ``noun`` begins the object's name there.
    """

    noun: str
    recorded: tuple[str, ...]
    created_as: Action
    changed_as: Action
    deleted_as: Action
    actions = None
    delete_confirmation_template = "admin/compliance/delete.html"

    def _values(self, obj: Model) -> dict[str, Any]:
        return {name: getattr(obj, name) for name in self.recorded}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save it, and write down what became of it."""
        before = self._values(self.model._default_manager.get(pk=obj.pk)) if change else None
        super().save_model(request, obj, form, change)
        record(
            self.changed_as if change else self.created_as,
            actor=_actor(request),
            object=f"{self.noun}/{obj.pk}",
            reason=form.cleaned_data["reason"],
            details={"before": before, "after": self._values(obj)},
        )

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Ask for the reason along with the confirmation."""
        if request.method == "POST" and not request.POST.get("reason", "").strip():
            self.message_user(request, "a reason is needed", messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        return super().delete_view(request, object_id, {**(extra_context or {}), "reason_form": ReasonForm()})

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete it, and write down what it was."""
        name, before = f"{self.noun}/{obj.pk}", self._values(obj)
        super().delete_model(request, obj)
        reason = request.POST["reason"]
        record(self.deleted_as, actor=_actor(request), object=name, reason=reason, details={"before": before})


@admin.register(RetentionPolicy)
class RetentionPolicyAdmin(Recorded):
    """How long messages are kept."""

    noun, recorded = "policy", ("jurisdiction", "conversation_type", "min_days", "max_days", "note")
    created_as, changed_as = Action.POLICY_CREATED, Action.POLICY_CHANGED
    deleted_as = Action.POLICY_DELETED
    form = PolicyForm
    list_display = ["id", "jurisdiction", "conversation_type", "min_days", "max_days", "note"]


@admin.register(Jurisdiction)
class JurisdictionAdmin(Recorded):
    """Whose law holds for whom."""

    noun, recorded = "jurisdiction", ("code", "of")
    created_as = changed_as = Action.JURISDICTION_SET
    deleted_as = Action.JURISDICTION_DELETED
    form = JurisdictionForm
    list_display = ["of", "code"]
    list_filter = ["code"]

    def _values(self, obj: Any) -> dict[str, Any]:
        return {"code": obj.code, "of": self.of(obj)}

    @admin.display(description="of")
    def of(self, obj: Jurisdiction) -> str:
        """Return whose it is."""
        return user_ref(obj.user_id) if obj.user_id is not None else conversation_ref(obj.conversation_id or 0)
