"""People and devices for the staff."""

from datetime import datetime
from typing import Any

from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from accounts.models import Block, Bot, Device, Identity, User
from accounts.selectors.bots import PERMISSION
from accounts.services.bots import end_bot
from accounts.services.devices import revoke_device
from accounts.staff import NotEdited, ReadOnly
from messaging.compliance.forms import ReasonField
from messaging.domain.errors import ChatError
from messaging.domain.ids import DeviceId, UserId
from messaging.rights import erasures


class EraseForm(forms.Form):
    """Why an account is erased."""

    reason = ReasonField()
    case = forms.CharField(max_length=120, required=False, help_text="A reference, where there is one.")


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]
    """Accounts."""

    list_display = ["username", "display_name", "email", "is_active", "is_staff", "last_seen_at"]
    search_fields = ["username", "display_name", "email"]
    readonly_fields = ["last_login", "date_joined", "last_seen_at"]
    change_form_template = "admin/accounts/person.html"
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (
            "Profile",
            {
                "fields": (
                    "display_name",
                    "about",
                    "email",
                    "share_presence",
                    "presence_public",
                    "show_previews",
                    "last_seen_at",
                )
            },
        ),
        ("Permissions", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what there is to see; who changes nothing sees nothing of the password and of single permissions."""
        if obj is None or self.has_change_permission(request, obj):
            return super().get_fieldsets(request, obj)
        return (
            (None, {"fields": ("username", "display_name", "email")}),
            ("Account", {"fields": ("is_active", "is_staff", "groups", "date_joined", "last_login", "last_seen_at")}),
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes a row: what a hold keeps would go with it. Accounts are erased, which asks holds."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """Add the page that asks why an account is to be erased."""
        erase = path("<int:pk>/erase/", self.admin_site.admin_view(self.erase_view), name="accounts_user_erase")
        return [erase, *super().get_urls()]

    def erase_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Have somebody's account erased, with a reason; a hold refuses it."""
        if not request.user.has_perm("rights.order_erasure"):
            raise PermissionDenied
        person = get_object_or_404(User, pk=pk)
        form = EraseForm(request.POST or None)
        page = reverse("admin:accounts_user_change", args=[pk])
        if request.method == "POST" and form.is_valid():
            assert isinstance(request.user, User)
            try:
                erasures.order(user=person, actor=UserId(request.user.pk), **form.cleaned_data)
            except ChatError as error:
                self.message_user(request, f"{error.detail[:1].upper()}{error.detail[1:]}.", messages.ERROR)
            else:
                text = "It is being erased: within minutes nobody can sign in, and what they wrote goes after that."
                self.message_user(request, text, messages.SUCCESS)
            return redirect(page)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Erase the account of {person.get_full_name()}",
            "intro": "The account is closed, and all that this person wrote is deleted everywhere, for good. This"
            " cannot be taken back.",
            "form": form,
            "back": page,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/compliance/reason.html", context)


admin.site.unregister(Authenticator)


@admin.register(Authenticator)
class SecondFactorAdmin(NotEdited):
    """Second factors. Deleting all rows of somebody who lost them lets the password alone do again."""

    list_display = ["user", "type", "created_at", "last_used_at"]
    list_filter = ["type"]
    search_fields = ["user__username"]
    list_select_related = ["user"]
    # Without the secret, sealed as it is.
    fields = ["user", "type", "created_at", "last_used_at"]


@admin.register(Identity)
class IdentityAdmin(NotEdited):
    """Who people are at the OpenID provider. Deleting a row lets that sign-in make or be linked to another account."""

    list_display = ["user", "issuer", "subject", "created_at", "last_used_at"]
    search_fields = ["user__username", "subject"]
    list_select_related = ["user"]
    fields = ["user", "issuer", "subject", "created_at", "last_used_at"]


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


@admin.register(Bot)
class BotAdmin(ReadOnly):
    """Bots, their owners, and their end. They are made in the settings."""

    list_display = ["user", "owner", "direct", "created_at", "ended_at"]
    search_fields = ["user__username", "owner__username"]
    list_select_related = ["user", "owner"]
    fields = ["user", "owner", "description", "direct", "created_at", "ended_at"]
    actions = ["end_bots"]

    @admin.display(description="ended")
    def ended_at(self, bot: Bot) -> datetime | None:
        """Return since when it is no more."""
        return bot.user.closed_at

    def has_end_permission(self, request: HttpRequest) -> bool:
        """Return whether somebody may end bots."""
        return bool(request.user.has_perm(PERMISSION))

    @admin.action(description="End these bots for good", permissions=["end"])
    def end_bots(self, request: HttpRequest, queryset: QuerySet[Bot]) -> None:
        """Shut the bots out; what they wrote stays."""
        for bot in queryset.filter(user__closed_at=None).select_related("user"):
            end_bot(bot=bot)


@admin.register(Block)
class BlockAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Who blocked whom; read-only."""

    list_display = ["owner", "target", "created_at"]
    readonly_fields = ["owner", "target", "created_at"]

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        """Only the owner blocks."""
        return False
