from django.apps import AppConfig


class HooksConfig(AppConfig):
    """What other programs write here (docs/decisions/0081)."""

    name = "messaging.hooks"
