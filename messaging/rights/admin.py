"""Accounts that are to be erased, for those who look after holds. Members and moderators see nothing of it."""

from django.contrib import admin

from accounts.staff import ReadOnly
from messaging.domain.ids import user_ref
from messaging.rights.models import Erasure


@admin.register(Erasure)
class ErasureAdmin(ReadOnly):
    """Which accounts are to be erased, and how far that is. It is ordered on the page of a person."""

    list_display = ["person", "state", "who_asked", "due_at", "done_at", "waits_for"]
    list_filter = ["state"]
    list_select_related = ["user"]
    search_fields = ["=user__username"]
    ordering = ["-id"]
    fields = (
        *("person", "user", "state", "asked_at", "who_asked", "due_at", "closed_at", "done_at"),
        *("conversations", "messages", "waits_for"),
    )
    readonly_fields = fields

    @admin.display(description="account")
    def person(self, erasure: Erasure) -> str:
        """Return whose account it is, by the id that stays."""
        return user_ref(erasure.user_id)

    @admin.display(description="asked for by")
    def who_asked(self, erasure: Erasure) -> str:
        """Return who asked for it."""
        return "its owner" if erasure.asked_by is None else user_ref(erasure.asked_by)

    @admin.display(description="still held")
    def waits_for(self, erasure: Erasure) -> str:
        """Return what of it cannot be deleted yet."""
        if erasure.state != Erasure.State.HELD:
            return "-"
        held = erasure.rests.count()
        return f"something in {held} conversation{'' if held == 1 else 's'}" if held else "the account"
