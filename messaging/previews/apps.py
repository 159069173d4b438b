from django.apps import AppConfig


class PreviewsConfig(AppConfig):
    """What the pages behind links in messages are (docs/decisions/0075)."""

    name = "messaging.previews"
