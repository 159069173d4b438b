"""allauth's forms, in this product's words: a label for each field, and no text inside it that looks like an answer."""

from typing import Any, ClassVar

from allauth.account import forms
from allauth.mfa.base import forms as mfa_forms
from allauth.mfa.totp import forms as totp_forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

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


class MFAAuthenticateForm(_OurWords, mfa_forms.AuthenticateForm):  # type: ignore[misc]
    """The code, when signing in."""

    labels = {"code": _("Code")}
    hints = {"code": _CODE_HINT}


class MFAReauthenticateForm(_OurWords, mfa_forms.ReauthenticateForm):  # type: ignore[misc]
    """The code once more, before something grave."""

    labels = {"code": _("Code")}
    hints = {"code": _CODE_HINT}


class MFAActivateForm(_OurWords, totp_forms.ActivateTOTPForm):  # type: ignore[misc]
    """The first code of an app that has just been given the secret."""

    labels = {"code": _("Code")}
    hints = {"code": _("Six digits that the app shows now.")}
