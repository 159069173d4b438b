from django.apps import AppConfig


class InvitesConfig(AppConfig):
    """Links into groups, and people who ask to be let in (docs/decisions/0064)."""

    name = "messaging.invites"
