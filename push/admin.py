"""Subscriptions and pushes for the staff; addresses and keys are not shown."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from push.models import Push, PushSettings, Subscription


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """What only its owner, or the worker, writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds one here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes one here."""
        return False


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnly):
    """Devices that get pushes, their last success and last error. Deleting one ends its pushes."""

    list_display = ["user", "device_name", "provider", "environment", "enabled", "last_success_at", "last_error"]
    list_filter = ["provider", "environment", "enabled"]
    search_fields = ["user__username"]
    list_select_related = ["user", "device"]
    exclude = ["address", "address_digest", "keys"]

    @admin.display(description="device")
    def device_name(self, subscription: Subscription) -> str:
        """Return the device's name."""
        return subscription.device.name


@admin.register(PushSettings)
class PushSettingsAdmin(ReadOnly):
    """What people want of pushes."""

    list_display = [
        "user",
        "enabled",
        "content",
        "quiet_from",
        "quiet_until",
        "time_zone",
        "mentions_override_mute",
        "email_summary",
    ]
    search_fields = ["user__username"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes one here."""
        return False


@admin.register(Push)
class PushAdmin(ReadOnly):
    """What became of each push in the last days; those that are dead with the reason."""

    list_display = ["id", "device", "state", "reason", "attempts", "created_at", "done_at"]
    list_filter = ["state"]
    search_fields = ["device__user__username"]
    list_select_related = ["device__user"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes one here: they go by themselves."""
        return False
