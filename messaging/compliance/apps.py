from django.apps import AppConfig


class ComplianceConfig(AppConfig):
    """Audit log, legal hold, retention, e-discovery (design section 9)."""

    name = "messaging.compliance"
