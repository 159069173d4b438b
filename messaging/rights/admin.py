"""Accounts that are to be erased, for those who look after holds. Members and moderators see nothing of it."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts.staff import Fact, ReadOnly, ago, tells_of_person, tells_overview
from messaging.compliance.admin import NamesPeople, named
from messaging.domain.ids import UserId, user_ref
from messaging.rights.models import DataExport, Erasure


@admin.register(Erasure)
class ErasureAdmin(NamesPeople, ReadOnly):
    """Which accounts are to be erased, and how far that is. It is ordered on the page of a person."""

    list_display = ["person", "state", "who_asked", "due_at", "done_at", "waits_for"]
    list_filter = ["state"]
    list_select_related = ["user"]
    search_fields = ["=user__username"]
    ordering = ["-id"]
    fields = (
        *("person", "state", "asked_at", "who_asked", "due_at", "closed_at", "done_at"),
        *("conversations", "messages", "waits_for"),
    )
    readonly_fields = fields

    def people_of(self, obj: Erasure) -> Iterable[UserId]:
        """Return whose account it is, and who of the staff asked for it."""
        return [UserId(it) for it in (obj.user_id, obj.asked_by) if it is not None]

    @admin.display(description="account")
    def person(self, erasure: Erasure) -> str:
        """Return whose account it is; once it is erased, the id stays."""
        user = UserId(erasure.user_id)
        return f"{named(user, getattr(erasure, 'names', None))}, {user_ref(user)}"

    @admin.display(description="asked for by")
    def who_asked(self, erasure: Erasure) -> str:
        """Return who asked for it."""
        return "its owner" if erasure.asked_by is None else self.name(erasure, erasure.asked_by)

    @admin.display(description="still held")
    def waits_for(self, erasure: Erasure) -> str:
        """Return what of it cannot be deleted yet."""
        if erasure.state != Erasure.State.HELD:
            return "-"
        held = erasure.rests.count()
        return f"something in {held} conversation{'' if held == 1 else 's'}" if held else "the account"


@tells_overview
def what_waits(request: HttpRequest) -> Iterable[Fact]:
    """Tell how many accounts are to be erased, and which of these are late."""
    if not request.user.has_perm("rights.view_erasure"):
        return
    found = Erasure.objects.filter(state__in=Erasure.OPEN)
    held = found.filter(state=Erasure.State.HELD).count()
    late = found.exclude(state=Erasure.State.HELD).filter(due_at__lt=timezone.now() - timedelta(hours=4))
    text = f"{found.count() - held} to come, {held} kept by a hold or a law"
    if number := late.count():
        text += f", {number} late"
    yield Fact("Erasures", text, reverse("admin:rights_erasure_changelist"), number > 0)
    asked = DataExport.objects.filter(state=DataExport.State.REQUESTED).order_by("requested_at").first()
    if asked is not None:
        yield Fact("Copies of own data", f"the oldest that is not made was asked for {ago(asked.requested_at)}")


@tells_of_person
def what_becomes_of_the_account(request: HttpRequest, person: Any) -> Iterable[Fact]:
    """Tell whether an account is to be erased."""
    if request.user.has_perm("rights.view_erasure"):
        for erasure in Erasure.objects.filter(user=person).exclude(state=Erasure.State.CANCELLED).order_by("-pk"):
            url = reverse("admin:rights_erasure_change", args=[erasure.pk])
            text = f"{erasure.get_state_display()}, due {erasure.due_at:%-d %b %Y}"
            yield Fact("Erasure", text, url, erasure.state != Erasure.State.DONE)
