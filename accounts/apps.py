from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users, devices and blocks."""

    name = "accounts"

    def ready(self) -> None:
        """Listen to allauth, and have what is counted known from the start."""
        from accounts import passwords, signals  # noqa: F401
