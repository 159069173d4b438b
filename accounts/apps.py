from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users, devices and blocks."""

    name = "accounts"
