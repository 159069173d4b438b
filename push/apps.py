from django.apps import AppConfig


class PushConfig(AppConfig):
    """Notifications for devices whose people are away."""

    name = "push"
