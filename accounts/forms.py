"""allauth's forms, in this product's words."""

from typing import Any

from allauth.account.forms import LoginForm


class AccountLoginForm(LoginForm):  # type: ignore[misc]  # allauth has no types
    """Sign in by user name or e-mail."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = "User name or e-mail"
        self.fields["login"].widget.attrs["placeholder"] = ""
        self.fields["password"].widget.attrs["placeholder"] = ""
