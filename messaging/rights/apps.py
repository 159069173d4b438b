from django.apps import AppConfig


class RightsConfig(AppConfig):
    """What people may do with their own data (docs/moderation.md)."""

    name = "messaging.rights"
    verbose_name = "People's own data"

    def ready(self) -> None:
        """Listen to sign-ins: who signs in keeps the account."""
        from messaging.rights import signals  # noqa: F401
