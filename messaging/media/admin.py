"""Files for the staff: whose, how large, in what state. What is in them, and what they are called, is not shown."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from accounts.staff import ReadOnly
from messaging.domain import ids
from messaging.media.models import MediaObject


@admin.register(MediaObject)
class MediaObjectAdmin(ReadOnly):
    """Objects, newest first. What messages refer to goes with them, the rest by itself."""

    list_display = ["ref", "owner", "kind", "content_type", "size", "state", "reason", "used", "created_at"]
    list_filter = ["state", "kind", "created_at"]
    date_hierarchy = "created_at"
    ordering = ["-created_at"]
    fields = ("ref", "owner", "kind", "content_type", "size", "sha256", "state", "reason", "created_at", "changed_at")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[MediaObject]:
        """Return the objects with the number of messages that refer to each."""
        found: QuerySet[MediaObject] = super().get_queryset(request)
        return found.annotate(used=Count("uses"))

    @admin.display(description="id")
    def ref(self, item: MediaObject) -> str:
        """Return the id as it is on the wire."""
        return ids.media_ref(item.pk)

    @admin.display(description="owner")
    def owner(self, item: MediaObject) -> str:
        """Return the owner's id as it is on the wire."""
        return ids.user_ref(item.owner_id)

    @admin.display(description="messages", ordering="used")
    def used(self, item: Any) -> int:
        """Return how many messages refer to it."""
        return int(item.used)
