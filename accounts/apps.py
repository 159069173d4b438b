from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users, devices and blocks."""

    name = "accounts"

    def ready(self) -> None:
        """Listen to allauth, have what is counted known from the start, and say in OpenAPI how one signs in."""
        from accounts import passwords, signals  # noqa: F401
        from accounts.api import schema  # noqa: F401
