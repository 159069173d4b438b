"""The roles of the staff: groups with exact permissions, kept so by every ``migrate`` (docs/compliance.md).

A role is what somebody may do in the admin pages; who has none sees nothing there. Superusers may do all, and are
for setting up; what they do is in the audit log like everybody's.
"""

from typing import Any, Final

from django.apps import apps
from django.contrib.auth.models import Group, Permission

MODERATOR: Final = "moderator"
OFFICER: Final = "compliance officer"
AUDITOR: Final = "auditor"
OPERATOR: Final = "operator"

#: Role -> ``app.codename``.
ROLES: Final[dict[str, tuple[str, ...]]] = {
    MODERATOR: (
        "accounts.view_user",
        "accounts.view_block",
        "moderation.view_case",
        "moderation.decide_case",
        "moderation.view_takedown",
        "moderation.view_sanction",
        "moderation.add_sendlimit",
        "moderation.view_sendlimit",
        "moderation.add_filterrule",
        "moderation.change_filterrule",
        "moderation.view_filterrule",
        "messaging.view_conversationrecord",
    ),
    OFFICER: (
        "accounts.view_user",
        "compliance.view_auditentry",
        "compliance.view_auditcheckpoint",
        "compliance.add_hold",
        "compliance.view_hold",
        "compliance.release_hold",
        "compliance.add_export",
        "compliance.view_export",
        "compliance.download_export",
        "compliance.end_export",
        "compliance.add_retentionpolicy",
        "compliance.change_retentionpolicy",
        "compliance.delete_retentionpolicy",
        "compliance.view_retentionpolicy",
        "compliance.add_jurisdiction",
        "compliance.change_jurisdiction",
        "compliance.delete_jurisdiction",
        "compliance.view_jurisdiction",
        "compliance.view_sweep",
        "rights.view_erasure",
        "rights.order_erasure",
        "messaging.view_conversationrecord",
        "messaging.view_members",
    ),
    # Reads what was done, and nothing that anybody wrote.
    AUDITOR: (
        "compliance.view_auditentry",
        "compliance.view_auditcheckpoint",
        "compliance.view_hold",
        "compliance.view_export",
        "compliance.view_retentionpolicy",
        "compliance.view_jurisdiction",
        "compliance.view_sweep",
        "rights.view_erasure",
    ),
    OPERATOR: (
        "accounts.view_user",
        "accounts.view_device",
        "accounts.change_device",
        "accounts.view_bot",
        "accounts.change_bot",
        "hooks.view_endpoint",
        "hooks.change_endpoint",
        "hooks.view_delivery",
        "django_celery_results.view_taskresult",
        "push.view_push",
        "push.view_pushsettings",
        "push.view_subscription",
        "push.delete_subscription",
        "compliance.view_sweep",
        "messaging.view_hotconversation",
        "messaging.change_hotconversation",
        "messaging.view_conversationrecord",
    ),
}


def keep(**kwargs: Any) -> None:
    """Make the groups, and give them the permissions of ``ROLES`` and no others.

    Called after the migration of each app; it waits for the last, since permissions come with their apps. One that
    does not exist is passed over: somebody migrates to where it did not.
    """
    last = [config for config in apps.get_app_configs() if config.models_module is not None][-1]
    if kwargs["app_config"].name != last.name:
        return
    using: str = kwargs["using"]
    there = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.using(using).select_related("content_type")
    }
    for role, names in ROLES.items():
        group, _ = Group.objects.using(using).get_or_create(name=role)
        group.permissions.set([there[name] for name in names if name in there])
