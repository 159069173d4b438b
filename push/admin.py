"""Subscriptions and pushes for the staff; addresses and keys are not shown."""

from django.contrib import admin

from accounts.staff import NotEdited, ReadOnly
from push.models import Push, PushSettings, Subscription


@admin.register(Subscription)
class SubscriptionAdmin(NotEdited):
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


@admin.register(Push)
class PushAdmin(ReadOnly):
    """What became of each push in the last days, after which they go; those that are dead with the reason."""

    list_display = ["id", "device", "state", "reason", "attempts", "created_at", "done_at"]
    list_filter = ["state"]
    search_fields = ["device__user__username"]
    list_select_related = ["device__user"]
