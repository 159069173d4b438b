"""The pages of compliance for the staff: each act goes through its service, which writes the audit log.

Who may see or do what is in ``roles.py``. Nothing that anybody wrote in a chat is on these pages.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from accounts.selectors.people import UserCard, names_on_file
from accounts.staff import Fact, ReadOnly, ago, tells_of_person, tells_overview
from messaging.compliance import exports, holds, retention
from messaging.compliance.audit import Action, record
from messaging.compliance.forms import KINDS, ExportForm, HoldForm, JurisdictionForm, PolicyForm, ReasonForm
from messaging.compliance.models import AuditCheckpoint, AuditEntry, Export, Hold, Jurisdiction, RetentionPolicy, Sweep
from messaging.compliance.why import DeletedForAReason, actor_of, reason_page, sentence
from messaging.domain import ids
from messaging.domain.errors import ChatError
from messaging.domain.ids import UserId, conversation_ref, user_ref
from messaging.streaming import from_thread

#: What is left of a name once its account is erased (``accounts.services.closing``).
_ERASED = re.compile(r"deleted_[0-9a-f]+")


def named(user: UserId, names: Mapping[UserId, UserCard] | None = None) -> str:
    """Return somebody's name for the staff; the id where there is no such account any more."""
    card = (names_on_file([user]) if names is None else names).get(user)
    if card is None:
        return user_ref(user)
    if _ERASED.fullmatch(card.username):
        return "an erased account"
    return f"@{card.username}" if card.display_name == card.username else f"{card.display_name} (@{card.username})"


class NamesPeople:
    """A list whose rows have ids of people: their names are asked for once, and are in ``names`` of each row."""

    def people_of(self, obj: Any) -> Iterable[UserId]:
        """Return whose names a row shows."""
        raise NotImplementedError

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list with its names."""
        found: Any = super().get_changelist_instance(request)  # type: ignore[misc]  # a ModelAdmin's
        rows = list(found.result_list)
        names = names_on_file(user for row in rows for user in self.people_of(row))
        for row in rows:
            row.names = names
        found.result_list = rows
        return found

    def name(self, obj: Any, user: int | None) -> str:
        """Return a name in a row, or on a page of its own with the id."""
        if user is None:
            return "-"
        names = getattr(obj, "names", None)
        return named(UserId(user), names) if names is not None else f"{named(UserId(user))}, {user_ref(user)}"


def _user_in(text: str) -> UserId | None:
    try:
        return ids.parse_user(text)
    except ids.InvalidId:
        return None


@admin.register(AuditEntry)
class AuditEntryAdmin(NamesPeople, ReadOnly):
    """The audit log, newest first. It has ids only; the names beside them are those of now."""

    list_display = ["seq", "at", "who", "action", "what", "short_reason", "case"]
    fields = ("seq", "at", "who", "action", "what", "case", "reason", "more", "prev_hash", "hash")
    readonly_fields = fields
    list_filter = ["action", "at"]
    search_fields = ["=actor", "=object", "=case", "reason"]
    search_help_text = "Actor (u_…, system), object (m_…, c_…, u_…, hold/12) or case as a whole; or a part of a reason."
    date_hierarchy = "at"
    ordering = ["-seq"]
    show_full_result_count = False

    def people_of(self, obj: AuditEntry) -> Iterable[UserId]:
        """Return who acted, and to whom."""
        return [user for user in (_user_in(obj.actor), _user_in(obj.object)) if user is not None]

    @admin.display(description="who", ordering="actor")
    def who(self, entry: AuditEntry) -> str:
        """Return who did it."""
        user = _user_in(entry.actor)
        return "the system" if user is None else self.name(entry, user)

    @admin.display(description="to what", ordering="object")
    def what(self, entry: AuditEntry) -> str:
        """Return what it was done to."""
        user = _user_in(entry.object)
        return entry.object if user is None else self.name(entry, user)

    @admin.display(description="details")
    def more(self, entry: AuditEntry) -> str:
        """Return what else is to be known, a line for each."""
        return format_html("<pre>{}</pre>", json.dumps(entry.details, indent=1, ensure_ascii=False, sort_keys=True))

    @admin.display(description="reason")
    def short_reason(self, entry: AuditEntry) -> str:
        """Return the begin of the reason."""
        return entry.reason if len(entry.reason) <= 80 else f"{entry.reason[:79]}…"


@admin.register(AuditCheckpoint)
class AuditCheckpointAdmin(ReadOnly):
    """Signatures over entries of the audit log."""

    list_display = ["seq", "at", "key"]
    fields = readonly_fields = ("seq", "at", "entry_hash", "key", "signature")
    ordering = ["-seq"]


#: How long one looks what a sweep would do, and how many conversations are told of.
_PREVIEW_S = 10.0
_PREVIEW_LINES = 200


@admin.register(Sweep)
class SweepAdmin(ReadOnly):
    """What each sweep found and did, and what one would do now."""

    list_display = ["id", "started_at", "finished_at", "conversations", "due", "deleted", "held", "failed"]
    fields = ("started_at", "finished_at", "conversations", "due", "deleted", "held", "failed")
    readonly_fields = fields
    ordering = ["-id"]
    change_list_template = "admin/compliance/sweeps.html"

    def get_urls(self) -> list[URLPattern]:
        """Add the page that says what would go."""
        view = self.admin_site.admin_view(self.preview_view)
        return [path("preview/", view, name="compliance_sweep_preview"), *super().get_urls()]

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Say what a sweep would do now, as far as one comes within some seconds. Nothing is changed."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        lines: list[retention.Line] = []
        counts, complete = retention.dry_run(
            now=timezone.now(),
            tell=lambda line: lines.append(line) if len(lines) < _PREVIEW_LINES else None,
            within_s=_PREVIEW_S,
        )
        context = {
            **self.admin_site.each_context(request),
            "title": "What a sweep would do now",
            "opts": self.opts,
            "counts": counts,
            "complete": complete,
            "lines": [(conversation_ref(it.conversation_id), it.rule, it.counts) for it in lines],
        }
        return TemplateResponse(request, "admin/compliance/preview.html", context)


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

    @admin.display(description="what was sent from")
    def sent_from(self, obj: Any) -> Any:
        """Return from when on it is of what was sent."""
        return obj.begins_at or "the beginning"

    @admin.display(description="what was sent until")
    def sent_until(self, obj: Any) -> Any:
        """Return until when it is of what was sent."""
        return obj.ends_at or "open"

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
            self.message_user(request, sentence(error), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def _page(self, pk: int) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[pk])

    def _with_reason(
        self, request: HttpRequest, pk: int, *, act: Callable[[str], HttpResponseBase | None], **said: Any
    ) -> HttpResponseBase:
        """Ask for a reason, and act with it; answer with what that gives, or lead back to the page of ``pk``.

        ``said``: what ``reason_page`` is to say.
        """
        form = ReasonForm(request.POST or None)
        if request.method != "POST" or not form.is_valid():
            return reason_page(self, request, form=form, back=self._page(pk), **said)
        try:
            answer = act(form.cleaned_data["reason"])
        except ChatError as error:
            self.message_user(request, sentence(error), messages.ERROR)
            return HttpResponseRedirect(self._page(pk))
        if answer is not None:
            return answer
        self.message_user(request, "It is done, and written down.", messages.SUCCESS)
        return HttpResponseRedirect(self._page(pk))


class HoldStateFilter(admin.SimpleListFilter):
    """Which holds: in force, about to be released, over."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("held", "held"), ("asked", "held; its release is asked for"), ("released", "released")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return those that were chosen."""
        match self.value():
            case "held":
                return queryset.filter(released_at=None)
            case "asked":
                return queryset.filter(released_at=None).exclude(release_requested_at=None)
            case "released":
                return queryset.exclude(released_at=None)
        return queryset


@admin.register(Hold)
class HoldAdmin(NamesPeople, Filed):
    """Legal holds: placed by one, released by two."""

    form = HoldForm
    list_display = ["id", "case", "what", "placed_at", "state"]
    list_filter = [HoldStateFilter]
    change_form_template = "admin/compliance/hold.html"
    shown = (
        *("case", "what", "sent_from", "sent_until", "reason", "state", "placed_at", "who_placed"),
        *("release_requested_at", "who_asked", "released_at", "who_released"),
    )

    def people_of(self, obj: Hold) -> Iterable[UserId]:
        """Return whom it is on."""
        return [] if obj.user_id is None else [UserId(obj.user_id)]

    @admin.display(description="what")
    def what(self, hold: Hold) -> str:
        """Return what is held."""
        if hold.user_id is not None:
            return self.name(hold, hold.user_id)
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
        return self.name(hold, hold.placed_by)

    @admin.display(description="release asked for by")
    def who_asked(self, hold: Hold) -> str:
        """Return who asked for its release."""
        return self.name(hold, hold.release_requested_by)

    @admin.display(description="released by")
    def who_released(self, hold: Hold) -> str:
        """Return who agreed to it."""
        return self.name(hold, hold.released_by)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Place it."""
        placed = holds.place_hold(actor=actor_of(request), new=form.new())
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
                if hold.release_requested_by != actor_of(request):
                    acts.append(("approve", "Agree to its release"))
                acts.append(("refuse", "Let it stand"))
        context = {**(extra_context or {}), "acts": acts, "waits": len(acts) == 1 and acts[0][0] == "refuse"}
        return super().change_view(request, object_id, form_url, context)

    def _may_release(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("compliance.release_hold"))

    def get_urls(self) -> list[URLPattern]:
        """Add the pages of release."""
        act = path("<int:pk>/release/<str:act>/", self.admin_site.admin_view(self.act_view), name="compliance_hold_act")
        return [act, *super().get_urls()]

    def act_view(self, request: HttpRequest, pk: int, act: str) -> HttpResponseBase:
        """Ask for a reason, and do it."""
        acts = {"request": holds.request_release, "approve": holds.approve_release, "refuse": holds.refuse_release}
        labels = {"request": "Ask for its release", "approve": "Agree to its release", "refuse": "Let it stand"}
        titles = {"request": "Ask for the release of", "approve": "Agree to the release of", "refuse": "Let stand"}
        intros = {
            "request": "Nothing changes until another officer agrees. Till then the hold stands.",
            "approve": "The hold ends now. What is over its time, or of an account that is to be erased, is deleted for"
            " good by the next sweep. This cannot be taken back.",
            "refuse": "The hold stands. Whoever wants its release has to ask again.",
        }
        hold = Hold.objects.filter(pk=pk).first()
        if act not in acts or hold is None:
            return HttpResponseRedirect(self._page(pk))
        if not self._may_release(request):
            raise PermissionDenied
        return self._with_reason(
            request,
            pk,
            title=f"{titles[act]} hold {pk} (case {hold.case})",
            intro=intros[act],
            confirm=labels[act],
            danger=act == "approve",
            act=lambda reason: acts[act](actor=actor_of(request), hold_id=pk, reason=reason),
        )


@admin.register(Export)
class ExportAdmin(NamesPeople, Filed):
    """Exports for a case. Nothing of what is in them is on these pages."""

    form = ExportForm
    list_display = ["id", "case", "state", "progress", "who_requested", "requested_at", "expires_at"]
    list_filter = ["state"]
    change_form_template = "admin/compliance/export.html"
    shown = (
        *("case", "which_users", "which_conversations", "sent_from", "sent_until", "reason", "requested_at"),
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

    def people_of(self, obj: Export) -> Iterable[UserId]:
        """Return who asked for it."""
        return [UserId(obj.requested_by)]

    @admin.display(description="users")
    def which_users(self, export: Export) -> str:
        """Return whose conversations are in it."""
        return "; ".join(self.name(export, ids.parse_user(ref)) for ref in export.users) or "-"

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
        return self.name(export, export.requested_by)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Ask for it."""
        obj.pk = exports.request_export(actor=actor_of(request), new=form.new()).pk

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
            export, pieces = exports.open_file(actor=actor_of(request), export_id=pk, reason=reason)
            headers = {
                "Content-Disposition": f'attachment; filename="export-{export.pk}.zip"',
                "Content-Length": str(export.size),
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
            }
            return StreamingHttpResponse(from_thread(pieces), content_type="application/zip", headers=headers)

        intro = "It has what people wrote. That you downloaded it, and why, is in the audit log before the first byte."
        return self._with_reason(request, pk, title=f"Download export {pk}", intro=intro, confirm="Download", act=give)

    def end_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Ask for a reason, and cancel it or delete its file."""
        if not request.user.has_perm("compliance.end_export"):
            raise PermissionDenied
        return self._with_reason(
            request,
            pk,
            title=f"End export {pk}",
            intro="It is cancelled, or its file deleted if it is ready. What was asked for stays on record.",
            danger=True,
            act=lambda reason: exports.end(actor=actor_of(request), export_id=pk, reason=reason),
        )


class Recorded(DeletedForAReason):
    """What is changed here with a reason, which goes into the audit log with what it was and is.

    ``noun`` begins the object's name there.
    """

    noun: str
    recorded: tuple[str, ...]
    created_as: Action
    changed_as: Action

    def _values(self, obj: Model) -> dict[str, Any]:
        return {name: getattr(obj, name) for name in self.recorded}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save it, and write down what became of it."""
        before = self._values(self.model._default_manager.get(pk=obj.pk)) if change else None
        super().save_model(request, obj, form, change)
        record(
            self.changed_as if change else self.created_as,
            actor=actor_of(request),
            object=f"{self.noun}/{obj.pk}",
            reason=form.cleaned_data["reason"],
            details={"before": before, "after": self._values(obj)},
        )

    def named(self, obj: Any) -> tuple[str, dict[str, Any]]:
        """Return its name in the audit log, and what it was."""
        return f"{self.noun}/{obj.pk}", {"before": self._values(obj)}


@admin.register(RetentionPolicy)
class RetentionPolicyAdmin(Recorded):
    """How long messages are kept."""

    noun, recorded = "policy", ("jurisdiction", "conversation_type", "min_days", "max_days", "note")
    created_as, changed_as = Action.POLICY_CREATED, Action.POLICY_CHANGED
    deleted_as = Action.POLICY_DELETED
    form = PolicyForm
    list_display = ["law", "where", "kinds", "least", "most"]

    @admin.display(description="law or rule", ordering="note")
    def law(self, obj: RetentionPolicy) -> str:
        """Return which law or rule says so."""
        return obj.note

    @admin.display(description="where", ordering="jurisdiction")
    def where(self, obj: RetentionPolicy) -> str:
        """Return where it holds."""
        return obj.jurisdiction or "everywhere"

    @admin.display(description="kind of conversation", ordering="conversation_type")
    def kinds(self, obj: RetentionPolicy) -> str:
        """Return for what it holds."""
        return KINDS.get(obj.conversation_type, "all")

    @admin.display(description="kept for at least", ordering="min_days")
    def least(self, obj: RetentionPolicy) -> str:
        """Return for how long there is a duty to keep."""
        return "no duty" if obj.min_days is None else f"{obj.min_days} days"

    @admin.display(description="deleted after", ordering="max_days")
    def most(self, obj: RetentionPolicy) -> str:
        """Return after what time messages are gone."""
        return "never" if obj.max_days is None else f"{obj.max_days} days"


@admin.register(Jurisdiction)
class JurisdictionAdmin(NamesPeople, Recorded):
    """Whose law holds for whom."""

    noun, recorded = "jurisdiction", ("code", "of")
    created_as = changed_as = Action.JURISDICTION_SET
    deleted_as = Action.JURISDICTION_DELETED
    form = JurisdictionForm
    list_display = ["of", "code"]
    list_filter = ["code"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form's fields; whose it is does not change any more."""
        return JurisdictionForm.Meta.fields if obj is None else ("of", "code", "reason")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show whose it is."""
        return () if obj is None else ("of",)

    def _values(self, obj: Any) -> dict[str, Any]:
        of = user_ref(obj.user_id) if obj.user_id is not None else conversation_ref(obj.conversation_id or 0)
        return {"code": obj.code, "of": of}

    def people_of(self, obj: Jurisdiction) -> Iterable[UserId]:
        """Return whose it is, where that is a person."""
        return [] if obj.user_id is None else [UserId(obj.user_id)]

    @admin.display(description="of")
    def of(self, obj: Jurisdiction) -> str:
        """Return whose it is."""
        return self.name(obj, obj.user_id) if obj.user_id is not None else conversation_ref(obj.conversation_id or 0)


# --- the front page, and the pages of people ------------------------------------------------------


@tells_overview
def what_waits(request: HttpRequest) -> Iterable[Fact]:
    """Tell what of compliance waits for somebody, and what ran last."""
    may = request.user.has_perm
    if may("compliance.view_hold"):
        running = Hold.objects.filter(released_at=None)
        url = reverse("admin:compliance_hold_changelist")
        yield Fact("Legal holds", f"{running.count()} in force", f"{url}?state=held")
        if may("compliance.release_hold"):
            asked = running.exclude(release_requested_at=None).exclude(release_requested_by=actor_of(request))
            number = asked.count()
            text = f"{number} wait for your answer" if number != 1 else "1 waits for your answer"
            yield Fact("Releases of holds", text if number else "none to answer", f"{url}?state=asked", number > 0)
    if may("compliance.view_export"):
        url = reverse("admin:compliance_export_changelist")
        making = Export.objects.filter(state__in=[Export.State.REQUESTED, Export.State.MAKING]).count()
        ready = Export.objects.filter(state=Export.State.READY).count()
        week = timezone.now() - timedelta(days=7)
        failed = Export.objects.filter(state=Export.State.FAILED, requested_at__gte=week).count()
        text = f"{making} in the making, {ready} ready, {failed} failed this week"
        yield Fact("Exports", text, url, failed > 0)
    if may("compliance.view_sweep"):
        last = Sweep.objects.exclude(finished_at=None).order_by("-pk").first()
        url = reverse("admin:compliance_sweep_changelist")
        if last is None:
            yield Fact("Last sweep", "none yet", url)
        else:
            text = f"{ago(last.started_at)}: {last.deleted} messages deleted, {last.held} held, {last.failed} failures"
            yield Fact("Last sweep", text, url, last.failed > 0)
    if may("compliance.view_auditentry"):
        newest = AuditEntry.objects.order_by("-seq").first()
        text = "empty" if newest is None else f"{newest.seq} entries, the newest {ago(newest.at)}"
        yield Fact("Audit log", text, reverse("admin:compliance_auditentry_changelist"))
        signed = AuditCheckpoint.objects.order_by("-seq").first()
        text = "never signed" if signed is None else f"signed {ago(signed.at)}, up to entry {signed.seq}"
        unsigned = AuditEntry.objects.filter(seq__gt=0 if signed is None else signed.seq).order_by("seq").first()
        late = unsigned is not None and (timezone.now() - unsigned.at).total_seconds() > 7_200
        yield Fact("Checkpoints", text, reverse("admin:compliance_auditcheckpoint_changelist"), late)


@tells_of_person
def what_concerns(request: HttpRequest, person: Any) -> Iterable[Fact]:
    """Tell which holds name a person, and whose law holds."""
    may = request.user.has_perm
    if may("compliance.view_hold"):
        for hold in Hold.objects.filter(user_id=person.pk, released_at=None).order_by("pk"):
            url = reverse("admin:compliance_hold_change", args=[hold.pk])
            yield Fact("Legal hold", f"case {hold.case}, since {hold.placed_at:%-d %b %Y}", url, urgent=True)
    if may("compliance.view_jurisdiction"):
        row = Jurisdiction.objects.filter(user_id=person.pk).first()
        if row is not None:
            yield Fact("Jurisdiction", row.code, reverse("admin:compliance_jurisdiction_change", args=[row.pk]))
