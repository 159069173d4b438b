from django.apps import AppConfig


class SearchConfig(AppConfig):
    """Finding messages by their words."""

    name = "messaging.search"
    label = "search"
