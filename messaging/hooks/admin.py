"""Where bots' events go, for the staff: what fails, why, and again."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.staff import ReadOnly
from messaging.domain.errors import ChatError
from messaging.hooks import endpoints
from messaging.hooks.models import Delivery, Endpoint


def _may_change(request: HttpRequest) -> bool:
    return bool(request.user.has_perm("hooks.change_endpoint"))


@admin.register(Endpoint)
class EndpointAdmin(ReadOnly):
    """Endpoints, and how it goes with them; without their secrets."""

    list_display = ["bot", "url", "off_reason", "failures", "paused_until", "last_error", "last_success_at"]
    list_filter = [("off_at", admin.EmptyFieldListFilter)]
    search_fields = ["bot__user__username", "url"]
    list_select_related = ["bot__user"]
    exclude = ["secret"]
    actions = ["switch_off", "switch_on"]

    def has_switch_permission(self, request: HttpRequest) -> bool:
        """Return whether somebody may switch endpoints."""
        return _may_change(request)

    @admin.action(description="Switch these off", permissions=["switch"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        """Have nothing sent there any more."""
        for endpoint in queryset:
            endpoints.change(endpoint=endpoint, on=False)

    @admin.action(description="Switch these on", permissions=["switch"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        """Begin anew."""
        for endpoint in queryset:
            endpoints.change(endpoint=endpoint, on=True)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    """Events and what became of them, for a week: what waits and what was given up, with the last error."""

    list_display = ["ref", "endpoint", "type", "state", "attempts", "last_error", "created_at", "next_at"]
    list_filter = ["state", "type"]
    search_fields = ["endpoint__bot__user__username", "endpoint__url"]
    list_select_related = ["endpoint__bot__user"]
    actions = ["redeliver"]

    def has_send_permission(self, request: HttpRequest) -> bool:
        """Return whether somebody may have events sent again."""
        return _may_change(request)

    @admin.action(description="Send these again", permissions=["send"])
    def redeliver(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        """Send again what was given up."""
        for delivery in queryset.select_related("endpoint"):
            try:
                endpoints.redeliver(endpoint=delivery.endpoint, delivery_id=delivery.pk)
            except ChatError as error:
                self.message_user(request, f"{delivery.ref}: {error.detail}.", messages.ERROR)
