from django.apps import AppConfig


class RightsConfig(AppConfig):
    """What people may do with their own data (docs/moderation.md)."""

    name = "messaging.rights"
