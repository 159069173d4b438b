"""Asks the staff why, in front of what is done to one thing or to many at once (docs/decisions/0083).

A page with a reason to fill in, and nothing is done without one. It never writes the audit log itself: whoever acts
does, in the transaction of the act.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeAlias

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from messaging.compliance.audit import Action, record
from messaging.compliance.forms import ReasonForm
from messaging.domain.errors import ChatError
from messaging.domain.ids import UserId

Admin: TypeAlias = "ModelAdmin[Any]"


def actor_of(request: HttpRequest) -> UserId:
    """Return who of the staff acts; nobody gets to these pages who is not signed in."""
    assert request.user.pk is not None
    return UserId(request.user.pk)


def sentence(error: ChatError) -> str:
    """Return what was refused, as the pages say it."""
    return f"{error.detail[:1].upper()}{error.detail[1:]}."


def reason_page(
    page: Admin,
    request: HttpRequest,
    *,
    title: str,
    form: Any,
    back: str,
    intro: str = "",
    confirm: str = "Confirm",
    danger: bool = False,
    chosen: Iterable[object] = (),
    hidden: Iterable[tuple[str, object]] = (),
) -> TemplateResponse:
    """Return the page that asks why: what is about to happen, to what, and a form with a reason.

    ``danger``: it cannot be taken back. ``chosen``: what it is done to, where that is more than the title says.
    """
    context = {
        **page.admin_site.each_context(request),
        "title": title,
        "intro": intro,
        "form": form,
        "back": back,
        "confirm": confirm,
        "danger": danger,
        "chosen": list(chosen),
        "hidden": list(hidden),
        "opts": page.opts,
    }
    return TemplateResponse(request, "admin/compliance/reason.html", context)


def for_a_reason(
    *, description: str, title: str, permissions: list[str]
) -> Callable[[Callable[[Any, HttpRequest, QuerySet[Any], str], None]], Any]:
    """Make what is done to many rows of a list at once ask why first; it gets the reason as its last argument."""

    def wrap(act: Callable[[Any, HttpRequest, QuerySet[Any], str], None]) -> Any:
        @admin.action(description=description, permissions=permissions)
        @wraps(act)
        def action(self: Admin, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
            asked = "reason" in request.POST
            form = ReasonForm(request.POST if asked else None)
            if asked and form.is_valid():
                try:
                    act(self, request, queryset, form.cleaned_data["reason"])
                except ChatError as error:
                    self.message_user(request, sentence(error), messages.ERROR)
                return None
            across = request.POST.get("select_across", "0")
            # All of a list may be many: one stands for them, and the list is asked again.
            chosen = list(queryset[:1] if across == "1" else queryset)
            return reason_page(
                self,
                request,
                title=title,
                form=form,
                back=request.get_full_path(),
                confirm=description,
                chosen=chosen if across != "1" else [f"all {queryset.count()} of the list"],
                hidden=[
                    ("action", act.__name__),
                    ("select_across", across),
                    *((ACTION_CHECKBOX_NAME, it.pk) for it in chosen),
                ],
            )

        return action

    return wrap


class DeletedForAReason(ModelAdmin):  # type: ignore[type-arg]
    """A model's pages on which one may be deleted, each by itself and with a reason, which is in the audit log.

    ``named`` says what of it the audit log knows: its object and its details.
    """

    deleted_as: Action
    actions = None
    delete_confirmation_template = "admin/compliance/delete.html"

    def named(self, obj: Any) -> tuple[str, dict[str, Any]]:
        """Return the object's name in the audit log, and what else is to be known of it."""
        raise NotImplementedError

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Ask for the reason along with the confirmation."""
        if request.method == "POST" and not ReasonForm(request.POST).is_valid():
            messages.error(request, "A reason is needed.")
            return HttpResponseRedirect(request.get_full_path())
        context = {**(extra_context or {}), "reason_form": ReasonForm()}
        return super().delete_view(request, object_id, context)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Delete it, and write down what it was; the admin has a transaction open."""
        name, details = self.named(obj)
        super().delete_model(request, obj)
        reason = ReasonForm(request.POST)
        reason.is_valid()
        record(
            self.deleted_as,
            actor=actor_of(request),
            object=name,
            reason=reason.cleaned_data["reason"],
            details=details,
        )
