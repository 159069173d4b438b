from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ComplianceConfig(AppConfig):
    """Audit log, legal hold, retention, roles (design section 9)."""

    name = "messaging.compliance"

    def ready(self) -> None:
        """Keep the roles as they have to be."""
        from messaging.compliance import roles

        post_migrate.connect(roles.keep, dispatch_uid="compliance.roles")
