from django.apps import AppConfig


class UnsentConfig(AppConfig):
    """What people have begun to write and not said yet (docs/decisions/0066)."""

    name = "messaging.unsent"
