"""Whose credential is this?"""

from datetime import timedelta
from importlib import import_module

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import models
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from accounts.models import Device, User, token_digest


def device_for_token(token: str) -> Device | None:
    """Return the device of a valid bearer token; None for any other."""
    return (
        Device.objects.select_related("user")
        .filter(token_digest=token_digest(token), revoked_at=None, user__is_active=True)
        .filter(models.Q(expires_at=None) | models.Q(expires_at__gt=timezone.now()))
        .first()
    )


def device_for_session(session_key: str) -> Device | None:
    """Return the device of a valid web session, made at its first use."""
    store = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = User.objects.filter(pk=store.get(SESSION_KEY) or 0, is_active=True).first()
    if user is None or BACKEND_SESSION_KEY not in store:
        return None
    if not constant_time_compare(store.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()):
        return None
    device, _ = Device.objects.get_or_create(
        session_key=session_key, defaults={"user": user, "kind": Device.Kind.WEB, "name": "Browser"}
    )
    return None if device.revoked_at is not None else device
