"""How allauth fits in here: our rule for usernames, who is kept out, and mail by a job."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from accounts.middleware import suspended_page
from accounts.models import User, username_validator
from accounts.tasks import send_mail_task
from messaging.jobs import queued

USERNAME_VALIDATORS = [username_validator]


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Accounts as this product has them."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": _("The user name or password is not right."),
        "email_password_mismatch": _("The e-mail or password is not right."),
    }

    def clean_username(self, username: str, shallow: bool = False) -> str:
        """Return the username in lower case. Raises ValidationError."""
        cleaned: str = super().clean_username(username.lower(), shallow=shallow)
        return cleaned

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """Save a new account, whose language is that of the page on which it was made."""
        user.language = get_language() or ""
        saved: User = super().save_user(request, user, form, commit=commit)
        return saved

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return whether an account may be made with a password (CHAT_SIGNUP)."""
        return bool(settings.SIGNUP == "open")

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        """Tell who is suspended why, in place of signing them in: only to whoever had the right password."""
        if user.is_suspended:
            return suspended_page(request, user)
        response: HttpResponse | None = super().pre_login(request, user, **kwargs)
        return response

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """Return how one may prove again who one is; a security key is a passkey in our words."""
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        for method in methods:
            if method["id"] == "mfa_reauthenticate:webauthn":
                method["description"] = _("Use a passkey")
        return methods

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Hand a mail to the job queue; send it at once where the queue does not take it."""
        message = self.render_mail(template_prefix, email, {**context, "current_site": None})
        if not queued(send_mail_task, message.subject, message.body, message.from_email, message.to):
            message.send()
