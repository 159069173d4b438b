"""allauth's forms, in this product's words: a label for each field, and no text inside it that looks like an answer."""

import json
from typing import Any, ClassVar, Final

import msgspec
from allauth.account import forms
from allauth.core import context
from allauth.mfa.base import forms as mfa_forms
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed
from allauth.mfa.totp import forms as totp_forms
from allauth.mfa.webauthn import forms as webauthn_forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.forms import fields, widgets
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from fido2.utils import websafe_decode

from accounts.mfa import has_app, passkeys_of

_PASSWORD_HINT = _("At least 8 characters; not a common password, nor like your name.")  # no secret


class _OurWords:
    """Mixed into a form: takes the placeholders out and puts ``labels`` and ``hints`` in."""

    labels: ClassVar[dict[str, str | Promise]] = {}
    hints: ClassVar[dict[str, str | Promise]] = {}
    fields: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs.pop("placeholder", None)
            field.label = self.labels.get(name, field.label)
            field.help_text = self.hints.get(name, field.help_text)


class AccountLoginForm(_OurWords, forms.LoginForm):  # type: ignore[misc]  # allauth has no types
    """Sign in by user name or e-mail."""

    labels = {"login": _("User name or e-mail")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What a password manager fills in here is the name.
        self.fields["login"].widget.attrs["autocomplete"] = "username"


class AccountSignupForm(_OurWords, forms.SignupForm):  # type: ignore[misc]
    """A new account."""

    labels = {"username": _("User name"), "email": _("E-mail (optional)")}
    hints = {
        "username": _("By it others find you. Letters, digits, and . _ -"),
        "email": _("For a new password, should you forget yours."),
        "password1": _PASSWORD_HINT,
    }


class AccountChangePasswordForm(_OurWords, forms.ChangePasswordForm):  # type: ignore[misc]
    """Another password, by who knows the current one."""

    labels = {
        "oldpassword": _("Current password"),
        "password1": _("New password"),
        "password2": _("New password, again"),
    }
    hints = {"password1": _PASSWORD_HINT}


class AccountResetPasswordForm(_OurWords, forms.ResetPasswordForm):  # type: ignore[misc]
    """Ask for a link to set another password."""

    labels = {"email": _("E-mail")}
    users: Any

    def clean_email(self) -> str:
        """Find whose it is; who has no password signs in by the provider, and gets none here."""
        email = str(super().clean_email())
        self.users = [user for user in self.users if user.has_usable_password()]
        return email


class AccountResetPasswordKeyForm(_OurWords, forms.ResetPasswordKeyForm):  # type: ignore[misc]
    """Another password, by who has the link."""

    labels = {"password1": _("New password"), "password2": _("New password, again")}
    hints = {"password1": _PASSWORD_HINT}


class AccountSetPasswordForm(_OurWords, forms.SetPasswordForm):  # type: ignore[misc]
    """A first password, for an account that has none."""

    labels = {"password1": _("Password"), "password2": _("Password, again")}
    hints = {"password1": _PASSWORD_HINT}


class AccountReauthenticateForm(_OurWords, forms.ReauthenticateForm):  # type: ignore[misc]
    """The password once more, before something grave."""


_CODE_HINT = _("Six digits from your authenticator app, or a recovery code.")


class _Code(_OurWords):
    """A code, of the app where there is one."""

    user: Any
    labels = {"code": _("Code")}
    hints = {"code": _CODE_HINT}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not has_app(self.user):
            self.fields["code"].label = _("Recovery code")
            self.fields["code"].help_text = _("One of those that you were given with your passkey.")


class MFAAuthenticateForm(_Code, mfa_forms.AuthenticateForm):  # type: ignore[misc]
    """The code, when signing in."""


class MFAReauthenticateForm(_Code, mfa_forms.ReauthenticateForm):  # type: ignore[misc]
    """The code once more, before something grave."""


class MFAActivateForm(_OurWords, totp_forms.ActivateTOTPForm):  # type: ignore[misc]
    """The first code of an app that has just been given the secret."""

    labels = {"code": _("Code")}
    hints = {"code": _("Six digits that the app shows now.")}


# --- passkeys (docs/decisions/0077) -----------------------------------------------------------------

#: Of one person.
MAX_PASSKEYS: Final = 20
#: Characters of an authenticator's answer; those with a long attestation have some thousands.
_MAX_ANSWER: Final = 65_536
#: What the libraries raise where an answer of a browser is not one. Nothing of it may become an error of the server.
_NO_ANSWER: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def _refused(error: Exception | None = None) -> ValidationError:
    """Return what is told of a passkey that is not taken, whatever was wrong with it; but say who has to wait."""
    if isinstance(error, ValidationError) and getattr(error, "code", None) == "too_many_login_attempts":
        return error
    return ValidationError(_("This passkey was not accepted. Try again."))


def _check_origin(request: HttpRequest, credential: Any) -> None:
    """Pass what a browser made for a page of ours. Raises ValidationError.

    The library lets in any page of a host below the domain of the passkey, and those may be others'.
    """
    origin = json.loads(websafe_decode(credential["response"]["clientDataJSON"]))["origin"]
    if origin not in (f"{request.scheme}://{request.get_host()}", *settings.ALLOWED_ORIGINS):
        raise _refused()


class CredentialField(fields.CharField):
    """What a browser's authenticator answered, as JSON; Django's own field breaks at JSON that is deep."""

    widget = widgets.HiddenInput

    def clean(self, value: Any) -> Any:
        """Return the object. Raises ValidationError."""
        text = super().clean(value)
        try:
            answer = msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            raise _refused() from None
        # allauth checks nothing of what is empty, and would keep it.
        if not answer:
            raise _refused()
        return answer


class PasskeyAddForm(_OurWords, webauthn_forms.AddWebAuthnForm):  # type: ignore[misc]
    """A new passkey or security key, made by the browser."""

    user: Any
    labels = {"name": _("Name"), "passwordless": _("Sign in with it alone, without a password")}
    hints = {
        "name": _("To tell it from others."),
        "passwordless": _("Off: it only goes with your password, as a second factor. For keys that ask for no PIN."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].widget.attrs["maxlength"] = 60
        self.fields["passwordless"].initial = True
        self.fields["credential"] = CredentialField(max_length=_MAX_ANSWER)

    def clean_name(self) -> str:
        """Return the name, cut where it is too long: the browser has made the passkey already."""
        return str(super().clean_name())[:60]

    def clean(self) -> dict[str, Any]:
        """Check what the browser made. Raises ValidationError."""
        if passkeys_of(self.user) >= MAX_PASSKEYS:
            raise ValidationError(_("There are %(count)d already. Remove one first."), params={"count": MAX_PASSKEYS})
        try:
            if self.cleaned_data.get("credential"):
                _check_origin(context.request, self.cleaned_data["credential"])
            cleaned: dict[str, Any] = super().clean()
        except (ValidationError, *_NO_ANSWER) as error:
            raise _refused(error) from None
        return cleaned


class PasskeyEditForm(_OurWords, webauthn_forms.EditWebAuthnForm):  # type: ignore[misc]
    """Another name for a passkey."""

    labels = {"name": _("Name")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].widget.attrs["maxlength"] = 60

    def clean_name(self) -> str:
        """Return the name, cut where it is too long."""
        return str(self.cleaned_data["name"])[:60]


class _Passkey:
    """Mixed into a form that a passkey answers: whatever a browser sends is checked or refused, and refusals noted."""

    user: Any
    fields: dict[str, Any]
    cleaned_data: dict[str, Any]
    reauthenticated: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["credential"] = CredentialField(max_length=_MAX_ANSWER)

    def clean_credential(self) -> Authenticator:
        """Return the passkey that answered. Raises ValidationError."""
        try:
            _check_origin(context.request, self.cleaned_data["credential"])
            return super().clean_credential()  # type: ignore[misc]
        except (ValidationError, *_NO_ANSWER) as error:
            if self.user is not None:
                authentication_failed.send(
                    sender=Authenticator,
                    request=context.request,
                    user=self.user,
                    authenticator=Authenticator(user=self.user, type=Authenticator.Type.WEBAUTHN),
                    reauthentication=self.reauthenticated,
                )
            raise _refused(error) from None


class PasskeyLoginForm(_Passkey, webauthn_forms.LoginWebAuthnForm):  # type: ignore[misc]
    """Sign in with a passkey alone: it asks for a fingerprint, a face or a PIN, so it is both factors."""


class PasskeyAuthenticateForm(_Passkey, webauthn_forms.AuthenticateWebAuthnForm):  # type: ignore[misc]
    """A passkey or security key after the password."""


class PasskeyReauthenticateForm(_Passkey, webauthn_forms.ReauthenticateWebAuthnForm):  # type: ignore[misc]
    """A passkey once more, before something grave."""
