from django.apps import AppConfig


class HooksConfig(AppConfig):
    """What other programs write here, and what they are told (docs/decisions/0081 and 0082)."""

    name = "messaging.hooks"
