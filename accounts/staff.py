"""The admin site: the sign-in page of everybody else, a second factor, and what its pages have in common."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.apps import AdminConfig
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.timesince import timesince


@dataclass(frozen=True, slots=True)
class Fact:
    """One line that the staff is told: on the front page, or of a person. ``url`` leads to more of it.

    ``urgent``: somebody should do something.
    """

    label: str
    text: str
    url: str = ""
    urgent: bool = False


#: What each part of the program has to tell, in the order in which they were loaded; each asks for permissions itself.
_overviews: Final[list[Callable[[HttpRequest], Iterable[Fact]]]] = []
_of_person: Final[list[Callable[[HttpRequest, Any], Iterable[Fact]]]] = []


def tells_overview(
    tell: Callable[[HttpRequest], Iterable[Fact]],
) -> Callable[[HttpRequest], Iterable[Fact]]:
    """Have what this tells on the front page; for the modules of admin pages."""
    _overviews.append(tell)
    return tell


def tells_of_person(
    tell: Callable[[HttpRequest, Any], Iterable[Fact]],
) -> Callable[[HttpRequest, Any], Iterable[Fact]]:
    """Have what this tells on the page of a person; for the modules of admin pages."""
    _of_person.append(tell)
    return tell


def facts_of(request: HttpRequest, person: Any) -> list[Fact]:
    """Return what whoever asks may know of a person."""
    return [fact for tell in _of_person for fact in tell(request, person)]


def ago(moment: datetime) -> str:
    """Return how long ago it was, in words."""
    return f"{timesince(moment, depth=1)} ago"


class StaffSite(AdminSite):
    """Django's admin site, for the staff who used a second factor in this session (CHAT_ADMIN_REQUIRE_2FA)."""

    index_template = "admin/overview.html"
    index_title = "Overview"

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Show what there is to do, above the list of pages."""
        facts = [fact for tell in _overviews for fact in tell(request)]
        return super().index(request, {**(extra_context or {}), "facts": facts})

    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether a request may see any of it."""
        return super().has_permission(request) and not _code_is_missing(request)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Lead to what is missing: signing in, a second factor, or a code of it."""
        wanted = request.GET.get("next", "")
        here = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
        to = wanted if here else reverse("admin:index")
        if not request.user.is_authenticated:
            return redirect(f"{reverse('account_login')}?{urlencode({'next': to})}")
        if not super().has_permission(request):
            raise PermissionDenied
        if not _code_is_missing(request):
            return redirect(to)
        from accounts.mfa import has_app, has_second_factor

        if has_second_factor(request.user):
            page = "mfa_reauthenticate" if has_app(request.user) else "mfa_reauthenticate_webauthn"
            return redirect(f"{reverse(page)}?{urlencode({'next': to})}")
        messages.info(request, "The admin pages need a second factor. Set it up here, then go back to them.")
        return redirect("mfa_index")


def _code_is_missing(request: HttpRequest) -> bool:
    from accounts.mfa import used_second_factor
    from messaging.demo import is_demo_admin

    if not settings.ADMIN_REQUIRE_2FA or is_demo_admin(request.user):
        return False
    return not used_second_factor(request)


class NotEdited(ModelAdmin):  # type: ignore[type-arg]
    """What people or the program write: the staff adds and changes none, and deletes one with the permission only."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds one here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes one here."""
        return False


class ReadOnly(NotEdited):
    """What the staff only reads."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes one here."""
        return False


class StaffAdminConfig(AdminConfig):
    """In place of ``django.contrib.admin``."""

    default_site = "accounts.staff.StaffSite"
