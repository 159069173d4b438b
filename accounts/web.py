"""The settings page: profile, devices, blocked people."""

from datetime import datetime, timedelta

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.timesince import timesince
from django.views.decorators.http import require_GET, require_POST

from accounts.models import Device, User
from accounts.selectors import credentials, people
from accounts.services import devices as device_service
from accounts.services import people as people_service
from messaging.domain import ids
from messaging.domain.errors import ChatError
from messaging.domain.ids import UserId
from messaging.moderation.selectors import notices_for
from messaging.rights.exports import exports_of


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    """What users change of themselves."""

    class Meta:
        model = User
        fields = ["display_name", "email", "share_presence"]
        labels = {"display_name": "Name", "email": "E-mail", "share_presence": "Show when I am online"}
        help_texts = {
            "display_name": "What others see. Empty: your user name.",
            "email": "For a new password, should you forget yours. Nobody else sees it.",
            "share_presence": "Off: nobody sees whether you are online, nor when you last were.",
        }


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _current_device(request: HttpRequest) -> Device | None:
    key = request.session.session_key or ""
    device = credentials.device_for_session(key, user_agent=request.headers.get("User-Agent", ""))
    if device is not None:
        device_service.touch(device)
    return device


def _ago(moment: datetime) -> str:
    if timezone.now() - moment < timedelta(minutes=2):
        return "just now"
    return f"{timesince(moment, depth=1)} ago"


@login_required
@require_GET
def settings_page(request: HttpRequest) -> HttpResponse:
    """Show the settings."""
    return _render(request, ProfileForm(instance=_user(request)))


def _render(request: HttpRequest, form: ProfileForm, status: int = 200) -> HttpResponse:
    user = _user(request)
    current = _current_device(request)
    devices = [
        {
            "ref": ids.device_ref(device.pk),
            "device": device,
            "current": current is not None and device.pk == current.pk,
            "used": _ago(device.last_used_at),
        }
        for device in credentials.devices_of(user)
    ]
    blocked = [{"ref": ids.user_ref(card.id), "card": card} for card in people.blocked_by(UserId(user.pk))]
    context = {"form": form, "devices": devices, "blocked": blocked, "user_ref": ids.user_ref(user.pk)}
    context |= {"notices": notices_for(UserId(user.pk)), "exports": exports_of(user)}
    return render(request, "account/settings.html", context, status=status)


@login_required
@require_POST
def save_profile(request: HttpRequest) -> HttpResponse:
    """Save the profile."""
    user = User.objects.get(pk=_user(request).pk)
    form = ProfileForm(request.POST, instance=User.objects.get(pk=user.pk))
    if not form.is_valid():
        return _render(request, form, status=400)
    people_service.update_profile(user=user, **form.cleaned_data)
    messages.success(request, "Saved.")
    return redirect("settings")


@login_required
@require_POST
def revoke_device(request: HttpRequest, device: str) -> HttpResponse:
    """Sign a device out."""
    try:
        device_service.revoke_device(user=_user(request), device_id=ids.parse_device(device))
    except (ids.InvalidId, ChatError):
        messages.error(request, "This device is signed out already.")
    else:
        messages.success(request, "Signed out there.")
    return redirect("settings")


@login_required
@require_POST
def revoke_others(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere but here."""
    ended = device_service.revoke_others(user=_user(request), keep=_current_device(request))
    messages.success(request, f"Signed out on {ended} other device{'' if ended == 1 else 's'}.")
    return redirect("settings")


@login_required
@require_POST
def unblock(request: HttpRequest, user: str) -> HttpResponse:
    """Unblock someone."""
    try:
        people_service.unblock(user=_user(request), other_id=ids.parse_user(user))
    except ids.InvalidId:
        messages.error(request, "There is no such person.")
    return redirect("settings")
