"""Subscriptions and pushes for the staff; addresses and keys are not shown."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts.staff import Fact, NotEdited, ReadOnly, ago, tells_of_person, tells_overview
from messaging.compliance.audit import Action
from messaging.compliance.why import DeletedForAReason
from messaging.domain.ids import DeviceId, UserId, device_ref, user_ref
from push.models import Push, PushSettings, Subscription


@admin.register(Subscription)
class SubscriptionAdmin(DeletedForAReason, NotEdited):
    """Devices that get pushes, their last success and last error. Deleting one ends its pushes."""

    list_display = ["user", "device_name", "provider", "environment", "enabled", "last_success_at", "last_error"]
    list_filter = ["provider", "environment", "enabled"]
    search_fields = ["user__username"]
    list_select_related = ["user", "device"]
    exclude = ["address", "address_digest", "keys"]
    deleted_as = Action.SUBSCRIPTION_DELETED

    def named(self, obj: Subscription) -> tuple[str, dict[str, Any]]:
        """Return whose it was, and on which device."""
        return user_ref(UserId(obj.user_id)), {"device": device_ref(DeviceId(obj.device_id))}

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

    list_display = ["id", "person", "device_name", "state", "reason", "attempts", "created_at", "done_at"]
    fields = ("person", "device_name", "state", "reason", "attempts", "created_at", "next_at", "done_at")
    readonly_fields = fields
    list_filter = ["state"]
    search_fields = ["device__user__username"]
    list_select_related = ["device__user"]
    ordering = ["-id"]

    @admin.display(description="to")
    def person(self, push: Push) -> str:
        """Return to whom it goes."""
        return f"@{push.device.user.username}"

    @admin.display(description="device")
    def device_name(self, push: Push) -> str:
        """Return the device's name."""
        return push.device.name


@tells_overview
def how_pushes_go(request: HttpRequest) -> Iterable[Fact]:
    """Tell what waits, and what came to nothing within a day."""
    if not request.user.has_perm("push.view_push"):
        return
    url = reverse("admin:push_push_changelist")
    waiting = Push.objects.filter(state=Push.State.WAITING)
    oldest = waiting.order_by("created_at").first()
    text = "none waits" if oldest is None else f"{waiting.count()} wait, the oldest from {ago(oldest.created_at)}"
    late = oldest is not None and (timezone.now() - oldest.created_at).total_seconds() > 300
    yield Fact("Pushes", text, f"{url}?state__exact={Push.State.WAITING}", late)
    day = timezone.now() - timedelta(days=1)
    dead = Push.objects.filter(state=Push.State.DEAD, created_at__gte=day).count()
    text = f"{dead} refused for good within a day"
    yield Fact("Pushes that failed", text, f"{url}?state__exact={Push.State.DEAD}", dead > 0)


@tells_of_person
def where_pushed(request: HttpRequest, person: Any) -> Iterable[Fact]:
    """Tell how many devices of a person get pushes."""
    if request.user.has_perm("push.view_subscription"):
        number = Subscription.objects.filter(user=person, enabled=True).count()
        url = f"{reverse('admin:push_subscription_changelist')}?q={person.username}"
        yield Fact("Notifications", f"on {number} device{'' if number == 1 else 's'}", url)
