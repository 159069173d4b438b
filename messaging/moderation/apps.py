from django.apps import AppConfig


class ModerationConfig(AppConfig):
    """Reports, the review queue, takedowns, appeals and sanctions (docs/moderation.md)."""

    name = "messaging.moderation"
