"""People and devices for the staff."""

from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.models import Block, Device, User
from accounts.services.devices import revoke_device
from accounts.staff import NotEdited
from messaging.domain.ids import DeviceId


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]
    """Accounts."""

    list_display = ["username", "display_name", "email", "is_active", "is_staff", "last_seen_at"]
    search_fields = ["username", "display_name", "email"]
    readonly_fields = ["last_login", "date_joined", "last_seen_at"]
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Profile", {"fields": ("display_name", "email", "share_presence", "last_seen_at")}),
        ("Permissions", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )


admin.site.unregister(Authenticator)


@admin.register(Authenticator)
class SecondFactorAdmin(NotEdited):
    """Second factors. Deleting both rows of somebody who lost app and codes lets the password alone do again."""

    list_display = ["user", "type", "created_at", "last_used_at"]
    list_filter = ["type"]
    search_fields = ["user__username"]
    list_select_related = ["user"]
    # Without the secret, sealed as it is.
    fields = ["user", "type", "created_at", "last_used_at"]


@admin.register(Device)
class DeviceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Where people are signed in; read-only but for signing out."""

    list_display = ["user", "kind", "name", "created_at", "last_used_at", "revoked_at"]
    list_filter = ["kind"]
    search_fields = ["user__username", "name"]
    fields = ("user", "kind", "name", "created_at", "last_used_at", "expires_at", "revoked_at")
    readonly_fields = ("user", "kind", "name", "created_at", "last_used_at", "expires_at", "revoked_at")
    actions = ["sign_out"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody signs in for somebody else."""
        return False

    @admin.action(description="Sign these devices out", permissions=["change"])
    def sign_out(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        """Revoke the devices; their sockets close within a second."""
        for device in queryset.filter(revoked_at=None).select_related("user"):
            revoke_device(user=device.user, device_id=DeviceId(device.pk))


@admin.register(Block)
class BlockAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Who blocked whom; read-only."""

    list_display = ["owner", "target", "created_at"]
    readonly_fields = ["owner", "target", "created_at"]

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        """Only the owner blocks."""
        return False
