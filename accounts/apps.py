from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users, devices and blocks."""

    name = "accounts"

    def ready(self) -> None:
        """Listen to allauth."""
        from accounts import signals  # noqa: F401
