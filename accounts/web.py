"""The settings page: profile, devices, blocked people."""

from datetime import datetime, timedelta
from typing import Any

from allauth.mfa.webauthn.views import ReauthenticateWebAuthnView
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_POST

from accounts.language import LANGUAGES, language_for, remember
from accounts.models import Device, PresenceChoice, User
from accounts.selectors import credentials, people
from accounts.services import devices as device_service
from accounts.services import people as people_service
from accounts.services.proof import ask_again, proven_again
from messaging.domain import ids
from messaging.domain.errors import ChatError
from messaging.domain.ids import UserId
from messaging.moderation.selectors import notices_for, reported_by
from messaging.rights.exports import exports_of


class ConfirmByPasskey(ReauthenticateWebAuthnView):  # type: ignore[misc]  # allauth has no types
    """allauth's page, which stays where it is when a passkey is refused."""

    def form_invalid(self, form: forms.Form) -> HttpResponse:
        """Say so, and let it be tried again."""
        response: HttpResponse = self.render_to_response({**self.get_context_data(), "form": form})
        return response


confirm_by_passkey = ConfirmByPasskey.as_view()


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    """What users change of themselves."""

    presence = forms.ChoiceField(
        label=gettext_lazy("Who sees when I am online"),
        choices=PresenceChoice.choices,
        required=False,
        help_text=gettext_lazy(
            "And when you last were. You see it of those who see it of you: who shows it to nobody sees none."
        ),
    )
    language = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Language"),
        help_text=gettext_lazy("Of these pages, and of what you get by mail and as notifications."),
    )

    class Meta:
        model = User
        fields = ["display_name", "about", "email", "language", "show_previews"]
        labels = {
            "display_name": gettext_lazy("Name"),
            "about": gettext_lazy("About"),
            "email": gettext_lazy("E-mail"),
            "show_previews": gettext_lazy("Show what is behind links"),
        }
        help_texts = {
            "display_name": gettext_lazy("What others see. Empty: your user name."),
            "about": gettext_lazy("A line about you, for all who look at your profile."),
            "email": gettext_lazy("For a new password, should you forget yours. Nobody else sees it."),
            "show_previews": gettext_lazy(
                "Off: you see no previews, and this server fetches nothing for links that you send."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["language"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", _("As the browser asks")), *settings.LANGUAGES]
        if not settings.LINK_PREVIEWS:
            # Nothing is fetched for anybody. What was chosen stays, for when the operator turns them on.
            del self.fields["show_previews"]


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
        return _("just now")
    return _("%(span)s ago") % {"span": timesince(moment, depth=1)}


@login_required
@require_GET
def settings_page(request: HttpRequest) -> HttpResponse:
    """Show the settings."""
    user = _user(request)
    return _render(request, ProfileForm(instance=user, initial={"presence": user.presence}))


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
    context |= {"picture": None if user.picture is None else ids.media_ref(user.picture)}
    context |= {"notices": notices_for(UserId(user.pk)), "exports": exports_of(user)}
    context |= {"reported": reported_by(UserId(user.pk), limit=10)}
    return render(request, "account/settings.html", context, status=status)


@login_required
@require_POST
def save_profile(request: HttpRequest) -> HttpResponse:
    """Save the profile."""
    user = User.objects.get(pk=_user(request).pk)
    form = ProfileForm(request.POST, instance=User.objects.get(pk=user.pk))
    if not form.is_valid():
        return _render(request, form, status=400)
    changes = {name: value for name, value in form.cleaned_data.items() if name != "presence" or value}
    if people_service.moves_mail(user, changes):
        ask_again(request)
    people_service.update_profile(user=user, **changes)
    # In the language of the page that comes.
    with translation.override(language_for(request, user)):
        messages.success(request, _("Saved."))
    response = redirect("settings")
    remember(response, user.language)
    return response


@require_POST
def choose_language(request: HttpRequest) -> HttpResponse:
    """Have this browser's pages be in another language, and go back; what an account has chosen comes before it."""
    language = request.POST.get("language", "")
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        back = settings.LOGIN_URL
    response = redirect(back)
    if language in LANGUAGES:
        remember(response, language)
    return response


def languages(request: HttpRequest) -> dict[str, Any]:
    """Give every page the languages that there are, each in its own words, and the scripts' catalogue of its own."""
    return {"languages": settings.LANGUAGES, "catalogue": f"js/i18n/{translation.get_language()}.js"}


@login_required
@require_POST
@proven_again
def revoke_device(request: HttpRequest, device: str) -> HttpResponse:
    """Sign a device out."""
    try:
        device_service.revoke_device(user=_user(request), device_id=ids.parse_device(device))
    except (ids.InvalidId, ChatError):
        messages.error(request, _("This device is signed out already."))
    else:
        messages.success(request, _("Signed out there."))
    return redirect("settings")


@login_required
@require_POST
@proven_again
def revoke_others(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere but here."""
    ended = device_service.revoke_others(user=_user(request), keep=_current_device(request))
    told = ngettext("Signed out on %(count)d other device.", "Signed out on %(count)d other devices.", ended)
    messages.success(request, told % {"count": ended})
    return redirect("settings")


@login_required
@require_POST
@proven_again
def make_token(request: HttpRequest) -> HttpResponse:
    """Make a bearer token for an app that cannot ask for a passkey or the provider, and show it this once."""
    name = request.POST.get("name", "").strip()
    if not name or not name.isprintable():
        messages.error(request, _("Give the app a name."))
        return redirect("settings")
    device, token = device_service.sign_in_device(user=_user(request), name=name)
    return render(request, "account/token.html", {"device": device, "token": token})


@login_required
@require_POST
def unblock(request: HttpRequest, user: str) -> HttpResponse:
    """Unblock someone."""
    try:
        people_service.unblock(user=_user(request), other_id=ids.parse_user(user))
    except ids.InvalidId:
        messages.error(request, _("There is no such person."))
    return redirect("settings")
