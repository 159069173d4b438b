from django.apps import AppConfig


class MediaConfig(AppConfig):
    """Pictures, videos, voice notes and files that messages refer to."""

    name = "messaging.media"
    label = "media"
