"""The review queue, for people who are not programmers: a list, and a page for each case with what can be decided."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts.models import User
from accounts.staff import Fact, ReadOnly, ago, tells_of_person, tells_overview
from messaging.compliance import audit
from messaging.compliance.admin import Filed
from messaging.compliance.audit import Action
from messaging.compliance.forms import ReasonField, UserField
from messaging.compliance.why import for_a_reason, sentence
from messaging.domain.errors import ChatError
from messaging.domain.ids import UserId
from messaging.moderation import limits
from messaging.moderation.models import Case, Category, FilterRule, Sanction, SendLimit, Takedown
from messaging.moderation.screening import compile_rule
from messaging.moderation.services import decisions
from messaging.moderation.services.decisions import MAX_TOLD_CHARS, Decision, NewLimit

_FOREVER: Final = "0"
_DAYS: Final = (("1", "1 day"), ("7", "7 days"), ("30", "30 days"), (_FOREVER, "until somebody lifts it"))
_INTERVALS: Final = (
    ("10", "a message each 10 seconds"),
    ("60", "a message each minute"),
    ("600", "a message each 10 minutes"),
    ("3600", "a message each hour"),
)
_LIMIT_DAYS: Final = (("1", "1 day"), ("7", "7 days"), ("30", "30 days"), ("90", "90 days"))
_EVERYBODY: Final = (
    (Case.Outcome.DISMISSED, "Nothing: it breaks no rule"),
    (Case.Outcome.WITHHELD, "Withhold the message from everybody"),
    (Case.Outcome.WARNED, "Warn the person"),
    (Case.Outcome.SUSPENDED, "Suspend the person"),
)
_APPEAL: Final = (
    (Case.Outcome.UPHELD, "The message stays withheld"),
    (Case.Outcome.RESTORED, "Give the message back to everybody"),
)
_TOLD: Final = {Case.Outcome.WITHHELD, Case.Outcome.WARNED, Case.Outcome.SUSPENDED}


def _outcomes(case: Case) -> list[tuple[str, str]]:
    if case.kind == Case.Kind.APPEAL:
        return list(_APPEAL)
    missing = set()
    if case.kind != Case.Kind.MESSAGE:
        missing.add(Case.Outcome.WITHHELD)
    if case.accused is None:
        missing |= {Case.Outcome.WARNED, Case.Outcome.SUSPENDED}
    return [choice for choice in _EVERYBODY if choice[0] not in missing]


class DecisionForm(forms.Form):
    """What becomes of a case."""

    outcome = forms.ChoiceField(label="Decision", widget=forms.RadioSelect)
    reason = forms.CharField(
        label="Reason, for the audit log",
        widget=forms.Textarea(attrs={"rows": 2}),
        max_length=2_000,
        help_text="Which rule, and why it does or does not apply. The person does not see it.",
    )
    told = forms.CharField(
        label="What the person is told",
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        max_length=MAX_TOLD_CHARS,
        help_text="For everything but “nothing”: a sentence or two that say what was wrong.",
    )
    days = forms.ChoiceField(label="Suspended for", choices=_DAYS, initial="7", help_text="Only for a suspension.")

    def __init__(self, case: Case, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = _outcomes(case)
        self.fields["outcome"].choices = choices  # type: ignore[attr-defined]
        offered = {outcome for outcome, _ in choices}
        if not offered & _TOLD:
            del self.fields["told"]
        if Case.Outcome.SUSPENDED not in offered:
            del self.fields["days"]

    def clean(self) -> dict[str, Any]:
        """Pass a decision whose person is told why."""
        data: dict[str, Any] = super().clean() or {}
        if data.get("outcome") in _TOLD and not data.get("told", "").strip():
            self.add_error("told", "Say what the person is told.")
        return data

    def decision(self) -> Decision:
        """Return what was decided."""
        data = self.cleaned_data
        days = int(data.get("days") or 0)
        until = timezone.now() + timedelta(days=days) if days else None
        return Decision(Case.Outcome(data["outcome"]), data["reason"], data.get("told", ""), until)


#: What moderators mostly say; they may say anything else.
_MOSTLY: Final = ("To judge this report", "To look again at a colleague's request", "Asked by the police or a court")


class ReasonForm(forms.Form):
    """Why somebody looks."""

    reason = forms.CharField(
        label="Why you need to see it", max_length=300, widget=forms.TextInput(attrs={"list": "reasons"})
    )


def _case_action(
    act: Callable[["CaseAdmin", HttpRequest, Case], HttpResponse],
) -> Callable[["CaseAdmin", HttpRequest, int], HttpResponse]:
    """Wrap what is done to a case by POST: for those who may decide, with refusals as messages on its page."""

    @wraps(act)
    def view(self: "CaseAdmin", request: HttpRequest, case_id: int) -> HttpResponse:
        if not request.user.has_perm("moderation.decide_case"):
            raise PermissionDenied
        case = Case.objects.filter(pk=case_id).first()
        if case is None:
            raise Http404
        try:
            return act(self, request, case)
        except ChatError as error:
            messages.error(request, sentence(error))
            return redirect(_page(case))

    return view


def _page(case: Case) -> str:
    return reverse("admin:moderation_case_change", args=[case.pk])


def _moderator(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


class CategoryFilter(admin.SimpleListFilter):
    """Cases with a report of a category."""

    title = "category"
    parameter_name = "category"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the categories."""
        return list(Category.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Case]) -> QuerySet[Case]:
        """Return the cases of the category that was chosen."""
        return queryset.filter(reports__category=self.value()).distinct() if self.value() else queryset


class MineFilter(admin.SimpleListFilter):
    """Whose cases."""

    title = "who has it"
    parameter_name = "who"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("me", "me"), ("nobody", "nobody yet")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Case]) -> QuerySet[Case]:
        """Return the cases of whoever was chosen."""
        if self.value() == "me":
            return queryset.filter(assigned_to=_moderator(request))
        return queryset.filter(assigned_to=None) if self.value() == "nobody" else queryset


@admin.register(Case)
class CaseAdmin(ReadOnly):
    """The queue: oldest first, what is open."""

    list_display = ["number", "kind", "about", "why", "created_at", "report_count", "assigned_to", "state", "outcome"]
    list_filter = ["state", MineFilter, "kind", CategoryFilter, "outcome"]
    search_fields = ["subject", "accused__username"]
    list_select_related = ["accused", "assigned_to"]
    ordering = ["-state", "created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Case]:
        """Return the cases with how often each was reported."""
        cases: QuerySet[Case] = super().get_queryset(request)
        return cases.annotate(times=Count("reports")).prefetch_related("reports")

    @admin.display(description="case", ordering="pk")
    def number(self, case: Case) -> str:
        """Return its name."""
        return str(case)

    @admin.display(description="by")
    def about(self, case: Case) -> str:
        """Return whose doing it is."""
        return "" if case.accused is None else f"@{case.accused.username}"

    @admin.display(description="reported for")
    def why(self, case: Case) -> str:
        """Return the categories, each once."""
        return ", ".join(sorted({report.get_category_display() for report in case.reports.all()}))

    @admin.display(description="reports", ordering="times")
    def report_count(self, case: Case) -> int:
        """Return how many reported it."""
        times: int = case.times  # type: ignore[attr-defined]  # annotated
        return times

    def get_urls(self) -> list[URLPattern]:
        """Add what the page of a case posts to."""

        def at(name: str, view: Any) -> URLPattern:
            wrapped: Any = self.admin_site.admin_view(require_POST(view))
            pattern: URLPattern = path(f"<int:case_id>/{name}/", wrapped, name=f"case-{name}")
            return pattern

        ours = [at("claim", self.claim), at("release", self.release), at("decide", self.decide), at("look", self.look)]
        return [*ours, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a case; what was reported only to the moderator who has it, for the reason given then.

        That it was looked at is in the audit log. Once the case is decided, another look needs another reason.
        """
        case = self.get_object(request, object_id)
        if case is None or not self.has_view_permission(request, case):
            return super().change_view(request, object_id, form_url, extra_context)
        return self._show(request, case)

    def _show(
        self,
        request: HttpRequest,
        case: Case,
        *,
        form: DecisionForm | None = None,
        versions: list[dict[str, object]] | None = None,
        status: int = 200,
    ) -> HttpResponse:
        moderator = _moderator(request)
        may_decide = moderator.has_perm("moderation.decide_case")
        mine = may_decide and case.assigned_to_id == moderator.pk
        is_open = case.state == Case.State.OPEN
        shown = mine and (is_open or versions is not None)
        if mine and is_open and versions is None:
            decisions.view_context(case=case, moderator=moderator)
        context = {
            **self.admin_site.each_context(request),
            "title": str(case),
            "opts": self.model._meta,
            "case": case,
            "mine": mine,
            "is_open": is_open,
            "may_claim": may_decide and is_open and case.assigned_to_id is None,
            "shown": shown,
            "flags": case.flags.select_related("rule").order_by("created_at") if shown else [],
            "reports": _with_times(case.reports.select_related("reporter").order_by("created_at")) if shown else [],
            "categories": self.why(case),
            "history": _history_of(case.accused),
            "appeal": getattr(case, "appeal", None) if shown else None,
            "about_message": case.kind in (Case.Kind.MESSAGE, Case.Kind.APPEAL),
            "form": form or DecisionForm(case),
            # Beside the other form, which has a reason as well.
            "look": ReasonForm(auto_id="look_%s"),
            "take": ReasonForm(auto_id="take_%s"),
            "mostly": _MOSTLY,
            "versions": None if versions is None else [{**it, "at": _moment(it["ts"])} for it in versions],
        }
        return TemplateResponse(request, "admin/moderation/case.html", context, status=status)

    @_case_action
    def claim(self, request: HttpRequest, case: Case) -> HttpResponse:
        """Take a case, and say why: what was reported is shown from then on."""
        form = ReasonForm(request.POST)
        if not form.is_valid():
            messages.error(request, "Say why you need to see it.")
            return redirect(_page(case))
        decisions.claim(case_id=case.pk, moderator=_moderator(request), reason=form.cleaned_data["reason"])
        return redirect(_page(case))

    @_case_action
    def release(self, request: HttpRequest, case: Case) -> HttpResponse:
        """Put a case back."""
        decisions.release(case_id=case.pk, moderator=_moderator(request))
        return redirect("admin:moderation_case_changelist")

    @_case_action
    def decide(self, request: HttpRequest, case: Case) -> HttpResponse:
        """Decide a case."""
        form = DecisionForm(case, request.POST)
        if not form.is_valid():
            return self._show(request, case, form=form, status=400)
        decided = decisions.decide(case_id=case.pk, moderator=_moderator(request), decision=form.decision())
        messages.success(request, f"{decided} is decided: {decided.get_outcome_display()}.")
        return redirect("admin:moderation_case_changelist")

    @_case_action
    def look(self, request: HttpRequest, case: Case) -> HttpResponse:
        """Show what a message said from the first on, to the moderator who has the case and says why."""
        form = ReasonForm(request.POST)
        if case.assigned_to_id != _moderator(request).pk:
            raise PermissionDenied
        if not form.is_valid():
            messages.error(request, "Say why you need to see it.")
            return redirect(_page(case))
        reason, moderator = form.cleaned_data["reason"], _moderator(request)
        if case.kind in (Case.Kind.MESSAGE, Case.Kind.APPEAL):
            versions = decisions.view_versions(case=case, moderator=moderator, reason=reason)
        else:
            versions = []
            decisions.view_context(case=case, moderator=moderator, reason=reason)
        return self._show(request, case, versions=versions)


def _moment(ts_ms: object) -> datetime:
    return datetime.fromtimestamp(int(str(ts_ms)) / 1000, UTC)


def _with_times(reports: QuerySet[Any]) -> list[Any]:
    """Return the reports, the messages of each with their time."""
    found = list(reports)
    for report in found:
        for message in report.context:
            if "ts" in message:
                message["at"] = _moment(message["ts"])
    return found


def _history_of(person: User | None) -> dict[str, Any]:
    if person is None:
        return {}
    return {
        "takedowns": Takedown.objects.filter(author=person, lifted_at=None).count(),
        "warnings": Sanction.objects.filter(user=person, kind=Sanction.Kind.WARNING).count(),
        "suspensions": Sanction.objects.filter(user=person, kind=Sanction.Kind.SUSPENSION).count(),
        "dismissed": Case.objects.filter(accused=person, outcome=Case.Outcome.DISMISSED).count(),
    }


class InForceFilter(admin.SimpleListFilter):
    """What was not lifted, or was."""

    title = "whether it was lifted"
    parameter_name = "lifted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("no", "not lifted"), ("yes", "lifted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return what was chosen."""
        return queryset if self.value() is None else queryset.filter(lifted_at__isnull=self.value() == "no")


@admin.register(Takedown)
class TakedownAdmin(ReadOnly):
    """Messages that are withheld, or were. They are given back by deciding an appeal, or here."""

    list_display = ["which", "author", "told", "made_at", "lifted_at", "in_force"]
    fields = readonly_fields = ("which", "author", "told", "made_at", "lifted_at", "in_force")
    list_filter = [InForceFilter]
    search_fields = ["author__username"]
    list_select_related = ["author"]
    actions = ["give_back"]

    @admin.display(description="message")
    def which(self, takedown: Takedown) -> str:
        """Return which message it is."""
        return takedown.subject

    @admin.display(description="what the author was told", ordering="reason")
    def told(self, takedown: Takedown) -> str:
        """Return what the author was told."""
        return takedown.reason

    @admin.display(description="on every device", boolean=True)
    def in_force(self, takedown: Takedown) -> bool:
        """Return whether what was decided last is in the log, and so on its way to every device."""
        return takedown.placed if takedown.lifted_at is None else takedown.lift_placed

    @for_a_reason(
        description="Give these messages back to everybody", title="Give messages back", permissions=["decide"]
    )
    def give_back(self, request: HttpRequest, queryset: QuerySet[Takedown], reason: str) -> None:
        """Lift takedowns."""
        for takedown in queryset.filter(lifted_at=None):
            decisions.lift(takedown, moderator=_moderator(request), reason=reason)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Whoever decides cases."""
        return _moderator(request).has_perm("moderation.decide_case")


@admin.register(Sanction)
class SanctionAdmin(ReadOnly):
    """Warnings and suspensions. A suspension is lifted here."""

    list_display = ["user", "kind", "told", "created_at", "until", "lifted_at"]
    fields = readonly_fields = ("user", "kind", "told", "created_at", "until", "lifted_at")
    list_filter = ["kind", InForceFilter]
    search_fields = ["user__username"]
    list_select_related = ["user"]
    actions = ["reinstate"]

    @admin.display(description="what the person was told", ordering="reason")
    def told(self, sanction: Sanction) -> str:
        """Return what the person was told."""
        return sanction.reason

    @for_a_reason(description="Lift these suspensions", title="Lift suspensions", permissions=["decide"])
    def reinstate(self, request: HttpRequest, queryset: QuerySet[Sanction], reason: str) -> None:
        """Let people in again."""
        for sanction in queryset.filter(kind=Sanction.Kind.SUSPENSION, lifted_at=None).select_related("user"):
            try:
                decisions.reinstate(sanction.user, moderator=_moderator(request), reason=reason)
            except ChatError as error:
                messages.error(request, f"@{sanction.user.username}: {error.detail}.")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Whoever decides cases."""
        return _moderator(request).has_perm("moderation.decide_case")


class LimitForm(forms.ModelForm):  # type: ignore[type-arg]
    """A limit to set."""

    user = UserField(label="Person", help_text="A user name, or an id (u_…).")
    interval = forms.TypedChoiceField(label="May send", choices=_INTERVALS, coerce=int, initial="60")
    conversations_per_day = forms.IntegerField(
        label="New conversations a day", min_value=0, max_value=1_000, initial=5, help_text="0: none."
    )
    days = forms.TypedChoiceField(
        label="For", choices=_LIMIT_DAYS, coerce=int, initial="7", help_text="It ends by itself."
    )
    reason = ReasonField()

    class Meta:
        model = SendLimit
        fields = ("user", "interval", "conversations_per_day", "days", "reason")

    def clean_user(self) -> User:
        """Return the person."""
        person = User.objects.filter(pk=self.cleaned_data["user"] or 0).first()
        if person is None:
            raise forms.ValidationError("There is no such person.")
        return person

    def new(self) -> NewLimit:
        """Return what was asked for; valid forms only."""
        data = self.cleaned_data
        return NewLimit(data["interval"], data["conversations_per_day"], timezone.now() + timedelta(days=data["days"]))


@admin.register(SendLimit)
class SendLimitAdmin(Filed):
    """Who may send only a little for a while, as against spam. They are not told, but for each text that is refused."""

    form = LimitForm
    list_display = ["id", "user", "what", "created_at", "until", "state"]
    list_filter = [InForceFilter]
    list_select_related = ["user"]
    search_fields = ["=user__username"]
    change_form_template = "admin/moderation/limit.html"
    shown = ("user", "what", "created_at", "until", "state", "lifted_at")

    @admin.display(description="may send")
    def what(self, limit: SendLimit) -> str:
        """Return how little."""
        words = dict(_INTERVALS).get(str(limit.interval_s), f"a message each {limit.interval_s} s")
        return f"{words}, {limit.conversations_per_day} new conversations a day"

    @admin.display(description="state")
    def state(self, limit: SendLimit) -> str:
        """Return where it stands."""
        if limit.lifted_at is not None:
            return "lifted, or replaced"
        return "in force" if limit.until > timezone.now() else "over"

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Take over whom the page of a person named."""
        return {**super().get_changeform_initial_data(request), "interval": "60", "days": "7"}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Set it."""
        person, reason = form.cleaned_data["user"], form.cleaned_data["reason"]
        obj.pk = decisions.limit(person, form.new(), moderator=_moderator(request), reason=reason).pk

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show a limit, with what may be done to it now."""
        running = object_id.isdecimal() and limits.running().filter(pk=object_id).exists()
        acts = [("lift", "Lift it")] if running and self.has_add_permission(request) else []
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "acts": acts})

    def get_urls(self) -> list[URLPattern]:
        """Add the page that asks why it is lifted."""
        lift = path("<int:pk>/lift/", self.admin_site.admin_view(self.lift_view), name="moderation_sendlimit_lift")
        return [lift, *super().get_urls()]

    def lift_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Ask for a reason, and lift it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        limit = get_object_or_404(SendLimit, pk=pk)
        return self._with_reason(
            request,
            pk,
            title=f"Lift the limit on {limit.user.get_full_name()}",
            act=lambda reason: decisions.lift_limit(limit, moderator=_moderator(request), reason=reason),
        )


class FilterRuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """A rule, and why it is made or changed."""

    reason = forms.CharField(
        label="Reason, for the audit log", widget=forms.Textarea(attrs={"rows": 2}), max_length=2_000
    )

    class Meta:
        model = FilterRule
        fields = ["name", "kind", "config", "outcome", "enabled"]

    def clean(self) -> dict[str, Any]:
        """Pass a rule that can be made of what was written."""
        data: dict[str, Any] = super().clean() or {}
        if "kind" in data and "config" in data:
            try:
                compile_rule(data["kind"], data["config"])
            except ValueError as error:
                self.add_error("config", f"{error}.".capitalize())
        return data


@admin.register(FilterRule)
class FilterRuleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What texts are refused or looked at. In force within seconds of being saved."""

    form = FilterRuleForm
    actions = None
    list_display = ["name", "kind", "outcome", "enabled", "changed_at"]
    list_filter = ["kind", "outcome", "enabled"]

    def save_model(self, request: HttpRequest, obj: FilterRule, form: Any, change: bool) -> None:
        """Save a rule, and note it in the audit log; the admin has a transaction open."""
        super().save_model(request, obj, form, change)
        audit.record(
            Action.FILTER_CHANGED,
            actor=UserId(_moderator(request).pk),
            object=f"filter/{obj.pk}",
            reason=form.cleaned_data["reason"],
            details={"changed": sorted(set(form.changed_data) - {"reason"}), "enabled": str(obj.enabled)},
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """One that is not wanted is switched off: what it flagged names it."""
        return False


# --- the front page, and the pages of people ------------------------------------------------------


@tells_overview
def what_waits(request: HttpRequest) -> Iterable[Fact]:
    """Tell how long the queue is, and what did not get through."""
    may = request.user.has_perm
    if may("moderation.view_case"):
        url = f"{reverse('admin:moderation_case_changelist')}?state__exact=open"
        waiting = Case.objects.filter(state=Case.State.OPEN).order_by("created_at")
        oldest = waiting.first()
        text = "none open" if oldest is None else f"{waiting.count()} open, the oldest from {ago(oldest.created_at)}"
        yield Fact("Cases", text, url, oldest is not None)
        mine = waiting.filter(assigned_to=_moderator(request)).count()
        if mine:
            yield Fact("Your cases", f"{mine} open", f"{url}&who=me", urgent=True)
    if may("moderation.view_takedown"):
        running = Takedown.objects.filter(lifted_at=None)
        late = (
            running.filter(placed=False).count()
            + Takedown.objects.filter(lift_placed=False).exclude(lifted_at=None).count()
        )
        number = running.count()
        text = f"{number} message{'' if number == 1 else 's'} withheld" + (
            f", {late} not on every device yet" if late else ""
        )
        yield Fact("Takedowns", text, f"{reverse('admin:moderation_takedown_changelist')}?lifted=no", late > 0)


@tells_of_person
def what_was_decided(request: HttpRequest, person: User) -> Iterable[Fact]:
    """Tell what moderators have to do with a person."""
    may, query = request.user.has_perm, f"?q={person.username}"
    if may("moderation.view_case"):
        found = Case.objects.filter(accused=person)
        number, waiting = found.count(), found.filter(state=Case.State.OPEN).count()
        if number:
            text = f"{number} about what they did, {waiting} open"
            yield Fact("Cases", text, f"{reverse('admin:moderation_case_changelist')}{query}", waiting > 0)
    if may("moderation.view_sanction"):
        warnings = Sanction.objects.filter(user=person, kind=Sanction.Kind.WARNING).count()
        if warnings:
            url = f"{reverse('admin:moderation_sanction_changelist')}{query}"
            yield Fact("Warnings", str(warnings), url)
        if person.is_suspended:
            until = person.suspended_until
            text = "until somebody lifts it" if until is None else f"until {until:%-d %b %Y, %H:%M} UTC"
            url = f"{reverse('admin:moderation_sanction_changelist')}{query}"
            yield Fact("Suspended", text, url, urgent=True)
    if may("moderation.view_takedown"):
        withheld = Takedown.objects.filter(author=person, lifted_at=None).count()
        if withheld:
            url = f"{reverse('admin:moderation_takedown_changelist')}{query}"
            yield Fact("Withheld", f"{withheld} of their messages", url)
    if may("moderation.view_sendlimit"):
        limit = limits.running().filter(user=person).first()
        if limit is not None:
            url = reverse("admin:moderation_sendlimit_change", args=[limit.pk])
            yield Fact("Limited", f"until {limit.until:%-d %b %Y, %H:%M} UTC", url)
