"""People and devices for the staff."""

from datetime import datetime
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from accounts.models import Block, Bot, Device, Identity, User
from accounts.selectors.bots import PERMISSION
from accounts.services.bots import end_bot
from accounts.services.devices import revoke_device
from accounts.staff import Fact, NotEdited, ReadOnly, facts_of, tells_of_person
from messaging.compliance.audit import Action, record
from messaging.compliance.forms import ReasonField, ReasonForm
from messaging.compliance.why import DeletedForAReason, actor_of, for_a_reason, reason_page, sentence
from messaging.domain.errors import ChatError
from messaging.domain.ids import DeviceId, UserId, device_ref, user_ref
from messaging.media.portraits import set_portrait
from messaging.rights import erasures


class PersonForm(UserChangeForm):  # type: ignore[type-arg]
    """An account, and why it is changed."""

    reason = ReasonField()


class NewPersonForm(AdminUserCreationForm):  # type: ignore[type-arg]
    """An account to make for somebody, and why."""

    reason = ReasonField()


class NewPasswordForm(AdminPasswordChangeForm):  # type: ignore[type-arg]
    """A password that somebody of the staff gives, and why."""

    reason = ReasonField()


#: What makes somebody one of the staff, and what they may do there.
_ROLE = ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")


class EraseForm(forms.Form):
    """Why an account is erased."""

    reason = ReasonField()
    case = forms.CharField(max_length=120, required=False, help_text="A reference, where there is one.")


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]
    """Accounts. What is changed of one needs a reason, and is in the audit log."""

    form = PersonForm
    add_form = NewPersonForm
    change_password_form = NewPasswordForm
    change_user_password_template = "admin/accounts/password.html"  # noqa: S105  # a path
    actions = None
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
        ("Why", {"fields": ("reason",)}),
    )
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "usable_password", "password1", "password2")}),
        ("Why", {"fields": ("reason",)}),
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

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save groups and permissions, too, and write down what was done; the admin has a transaction open."""
        person: User = form.instance
        before = _standing(person) if change else {}
        super().save_related(request, form, formsets, change)
        after = _standing(person)
        reason = form.cleaned_data["reason"]
        # The rest by name only: what it was and is are people's names and addresses.
        others = sorted(set(form.changed_data) - {"reason", *_ROLE})
        if not change:
            self._record(request, Action.USER_CREATED, person, reason, {})
        elif others:
            self._record(request, Action.USER_CHANGED, person, reason, {"fields": others})
        flags = sorted(set(form.changed_data) & {"is_active", "is_staff", "is_superuser"})
        if change and (flags or before != after):
            now = {name: bool(getattr(person, name)) for name in flags}
            self._record(request, Action.ROLE_CHANGED, person, reason, {"before": before, "after": {**after, **now}})

    def _record(self, request: HttpRequest, action: Action, person: User, reason: str, details: dict[str, Any]) -> None:
        record(action, actor=actor_of(request), object=user_ref(UserId(person.pk)), reason=reason, details=details)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Give somebody another password, with a reason."""
        with transaction.atomic():
            answer: HttpResponse = super().user_change_password(request, id, form_url)
            if request.method == "POST" and answer.status_code == 302:
                reason = ReasonForm(request.POST)
                reason.is_valid()
                person = get_object_or_404(User, pk=id)
                self._record(request, Action.PASSWORD_CHANGED, person, reason.cleaned_data["reason"], {})
        return answer

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show an account, with what there is about the person that whoever looks may know."""
        person = self.get_object(request, object_id)
        context = {**(extra_context or {}), "facts": [] if person is None else facts_of(request, person)}
        if person is not None:
            context |= {"ref": user_ref(UserId(person.pk))}
        answer: HttpResponse = super().change_view(request, object_id, form_url, context)
        return answer

    def get_urls(self) -> list[URLPattern]:
        """Add the pages that ask why an account is to be erased, and why a picture is taken down."""
        picture = path("<int:pk>/picture/", self.admin_site.admin_view(self.picture_view), name="accounts_user_picture")
        erase = path("<int:pk>/erase/", self.admin_site.admin_view(self.erase_view), name="accounts_user_erase")
        return [erase, picture, *super().get_urls()]

    def picture_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take somebody's picture down, with a reason; they may set another."""
        if not request.user.has_perm("moderation.decide_case"):
            raise PermissionDenied
        person = get_object_or_404(User, pk=pk)
        form = ReasonForm(request.POST or None)
        page = reverse("admin:accounts_user_change", args=[pk])
        if request.method == "POST" and form.is_valid():
            with transaction.atomic():
                set_portrait(UserId(pk), None)
                self._record(request, Action.USER_CHANGED, person, form.cleaned_data["reason"], {"fields": ["picture"]})
            self.message_user(request, "The picture is taken down.", messages.SUCCESS)
            return redirect(page)
        return reason_page(
            self,
            request,
            title=f"Take down the picture of {person.get_full_name()}",
            intro="Nobody sees it any more, and the file is deleted, unless a legal hold keeps it. Their initials are"
            " shown until they set another picture.",
            form=form,
            back=page,
            confirm="Take it down",
            danger=True,
        )

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
                self.message_user(request, sentence(error), messages.ERROR)
            else:
                text = "It is being erased: within minutes nobody can sign in, and what they wrote goes after that."
                self.message_user(request, text, messages.SUCCESS)
            return redirect(page)
        return reason_page(
            self,
            request,
            title=f"Erase the account of {person.get_full_name()}",
            intro="The account is closed, and all that this person wrote is deleted everywhere, for good. This"
            " cannot be taken back.",
            form=form,
            back=page,
            confirm="Erase the account",
            danger=True,
        )


def _standing(person: User) -> dict[str, Any]:
    """Return what somebody may do as one of the staff, but for what their row itself says."""
    return {
        "groups": sorted(person.groups.values_list("name", flat=True)),
        "permissions": sorted(person.user_permissions.values_list("codename", flat=True)),
    }


@tells_of_person
def where_signed_in(request: HttpRequest, person: User) -> list[Fact]:
    """Tell where a person is signed in."""
    if not request.user.has_perm("accounts.view_device"):
        return []
    number = Device.objects.filter(user=person, revoked_at=None).count()
    url = f"{reverse('admin:accounts_device_changelist')}?q={person.username}"
    return [Fact("Signed in", f"on {number} device{'' if number == 1 else 's'}", url)]


admin.site.unregister([Authenticator, Group])
# An address is a field of its account, on whose page it is changed with a reason.
admin.site.unregister(EmailAddress)


class RoleForm(forms.ModelForm):  # type: ignore[type-arg]
    """A group of the staff, and why it is made or changed."""

    reason = ReasonField()

    class Meta:
        model = Group
        fields = ("name", "permissions")


@admin.register(Group)
class RoleAdmin(DeletedForAReason, GroupAdmin):
    """Groups of the staff. Those of ``compliance/roles.py`` get their permissions back with the next ``migrate``."""

    form = RoleForm
    fields = ("name", "permissions", "reason")
    deleted_as = Action.ROLE_CHANGED

    def named(self, obj: Group) -> tuple[str, dict[str, Any]]:
        """Return its name in the audit log, and what it may do."""
        return f"group/{obj.pk}", {"name": obj.name, "permissions": self._permissions(obj)}

    def _permissions(self, obj: Group) -> list[str]:
        return sorted(obj.permissions.values_list("codename", flat=True))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save its permissions, and write down what they were and are; the admin has a transaction open."""
        group: Group = form.instance
        before = self._permissions(group) if change else []
        super().save_related(request, form, formsets, change)
        name, details = self.named(group)
        record(
            Action.ROLE_CHANGED,
            actor=actor_of(request),
            object=name,
            reason=form.cleaned_data["reason"],
            details={**details, "before": before},
        )


@admin.register(Authenticator)
class SecondFactorAdmin(DeletedForAReason, NotEdited):
    """Second factors. Deleting all rows of somebody who lost them lets the password alone do again."""

    deleted_as = Action.FACTOR_REMOVED

    list_display = ["user", "type", "created_at", "last_used_at"]
    list_filter = ["type"]
    search_fields = ["user__username"]
    list_select_related = ["user"]
    # Without the secret, sealed as it is.
    fields = ["user", "type", "created_at", "last_used_at"]

    def named(self, obj: Authenticator) -> tuple[str, dict[str, Any]]:
        """Return whose it is, and of which kind."""
        return user_ref(UserId(obj.user_id)), {"kind": str(obj.type)}


@admin.register(Identity)
class IdentityAdmin(DeletedForAReason, NotEdited):
    """Who people are at the OpenID provider. Deleting a row lets that sign-in make or be linked to another account."""

    deleted_as = Action.FACTOR_REMOVED
    list_display = ["user", "issuer", "subject", "created_at", "last_used_at"]
    search_fields = ["user__username", "subject"]
    list_select_related = ["user"]
    fields = ["user", "issuer", "subject", "created_at", "last_used_at"]

    def named(self, obj: Identity) -> tuple[str, dict[str, Any]]:
        """Return whose it is, and at which provider."""
        return user_ref(UserId(obj.user_id)), {"kind": "identity", "issuer": obj.issuer}


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

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A device is signed out, and its row stays a while."""
        return False

    @for_a_reason(description="Sign these devices out", title="Sign devices out", permissions=["change"])
    def sign_out(self, request: HttpRequest, queryset: QuerySet[Device], reason: str) -> None:
        """Revoke the devices; their sockets close within a second."""
        for device in queryset.filter(revoked_at=None).select_related("user"):
            with transaction.atomic():
                revoke_device(user=device.user, device_id=DeviceId(device.pk))
                record(
                    Action.DEVICE_SIGNED_OUT,
                    actor=actor_of(request),
                    object=user_ref(UserId(device.user_id)),
                    reason=reason,
                    details={"device": device_ref(DeviceId(device.pk))},
                )


#: For how long whoever said why sees who blocked whom, in s.
_LOOK_S = 900


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

    @for_a_reason(description="End these bots for good", title="End bots", permissions=["end"])
    def end_bots(self, request: HttpRequest, queryset: QuerySet[Bot], reason: str) -> None:
        """Shut the bots out; what they wrote stays."""
        for bot in queryset.filter(user__closed_at=None).select_related("user"):
            with transaction.atomic():
                end_bot(bot=bot)
                record(
                    Action.BOT_ENDED,
                    actor=actor_of(request),
                    object=user_ref(UserId(bot.user_id)),
                    reason=reason,
                )


@admin.register(Block)
class BlockAdmin(ReadOnly):
    """Who blocked whom. That is people's own affair: whoever looks says why, for a quarter of an hour."""

    list_display = ["owner", "target", "created_at"]
    fields = readonly_fields = ("owner", "target", "created_at")
    search_fields = ["=owner__username", "=target__username"]
    list_select_related = ["owner", "target"]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show them to whoever has said why."""
        return self._asked(request) or super().changelist_view(request, extra_context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show one to whoever has said why."""
        return self._asked(request) or super().change_view(request, object_id, form_url, extra_context)

    def _asked(self, request: HttpRequest) -> HttpResponse | None:
        """Return the page that asks why, unless that was answered."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.session.get("blocks_until", 0) > timezone.now().timestamp():
            return None
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            reason = form.cleaned_data["reason"]
            with transaction.atomic():
                record(Action.CONTENT_VIEWED, actor=actor_of(request), object="blocks", reason=reason)
            request.session["blocks_until"] = timezone.now().timestamp() + _LOOK_S
            return redirect(request.get_full_path())
        return reason_page(
            self,
            request,
            title="See who blocked whom",
            intro="Whom somebody blocked is private. Say why you look; you can for a quarter of an hour.",
            form=form,
            back=reverse("admin:index"),
            confirm="Show it",
        )
