"""The end of an account: closed first, so that nobody uses it; then emptied. Its number stays, and is given to nobody.

When that happens, and whether it may, is decided in ``messaging.rights.erasures`` (docs/decisions/0055).
"""

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import Block, Device, Identity, User
from accounts.services.devices import revoke_others


def close(user: User) -> None:
    """Let nobody sign in any more, end every sign-in, and show the names to members no more. Idempotent."""
    with transaction.atomic():
        User.objects.filter(pk=user.pk, closed_at=None).update(closed_at=timezone.now())
        User.objects.filter(pk=user.pk).update(is_active=False, share_presence=False)
        revoke_others(user=user, keep=None)


def empty(user: User) -> None:
    """Delete what is known of the person: names, address, password, devices, factors, blocks. Idempotent.

    Call it in a transaction, inside ``holds.deleting``.
    """
    # Their addresses for pushes go with the devices.
    Device.objects.filter(user=user).delete()
    Authenticator.objects.filter(user=user).delete()
    EmailAddress.objects.filter(user=user).delete()
    Identity.objects.filter(user=user).delete()
    Block.objects.filter(Q(owner=user) | Q(target=user)).delete()
    user.groups.clear()
    user.user_permissions.clear()
    user.username = f"deleted_{user.pk:x}"
    user.display_name = user.about = user.email = user.suspension_reason = ""
    user.last_login = user.last_seen_at = user.picture_id = None
    user.is_active = user.share_presence = False
    user.set_unusable_password()
    user.save()
