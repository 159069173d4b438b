"""Signing in and out: the only writer of devices (design section 5)."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from importlib import import_module

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import Device, User, new_token, token_digest
from chatproject import container
from messaging.domain.errors import NotFound
from messaging.domain.events import RevokeDevices
from messaging.domain.ids import DeviceId, UserId, device_ref, user_ref
from messaging.services.fanout import tell_pods_of

logger = logging.getLogger(__name__)

_TOUCH_EVERY = timedelta(minutes=1)


def sign_in_device(*, user: User, name: str, user_agent: str = "") -> tuple[Device, str]:
    """Return a new device of ``user`` and its bearer token, which nobody can read again."""
    token = new_token()
    device = Device.objects.create(
        user=user,
        kind=Device.Kind.TOKEN,
        name=(name or describe(user_agent))[:120],
        token_digest=token_digest(token),
        expires_at=timezone.now() + settings.TOKEN_LIFETIME,
    )
    logger.info("%s signed in on %s", user_ref(user.pk), device_ref(device.pk))
    return device, token


def revoke_device(*, user: User, device_id: DeviceId) -> None:
    """End one sign-in of ``user``: its token or session is void at once, its sockets close within a second.

    Raises:
        NotFound: no such device, or somebody else's.
    """
    device = Device.objects.filter(pk=device_id, user=user, revoked_at=None).first()
    if device is None:
        raise NotFound("no such device")
    _end(user, [device])


def revoke_others(*, user: User, keep: Device | None) -> int:
    """End every sign-in of ``user`` but ``keep``; return how many."""
    devices = list(Device.objects.filter(user=user, revoked_at=None).exclude(pk=keep.pk if keep else 0))
    _end(user, devices)
    return len(devices)


def end_session(session_key: str) -> None:
    """End the device of a web session, where there is one."""
    device = Device.objects.select_related("user").filter(session_key=session_key, revoked_at=None).first()
    if device is not None:
        _end(device.user, [device])


def touch(device: Device) -> None:
    """Note that the device was used just now."""
    Device.objects.filter(pk=device.pk).update(last_used_at=timezone.now())


def touch_sometimes(device: Device) -> None:
    """Note that a token is used, at most once a minute: a write for each request would be many."""
    if timezone.now() - device.last_used_at > _TOUCH_EVERY:
        touch(device)


def adopt_session(*, old_key: str, new_key: str) -> Device | None:
    """Let a device follow its session to a new key (it changes at a change of password), and return the device."""
    Device.objects.filter(session_key=old_key).update(session_key=new_key)
    return Device.objects.filter(session_key=new_key, revoked_at=None).first()


def _end(user: User, devices: Sequence[Device]) -> None:
    if not devices:
        return
    for device in devices:
        logger.info("%s was signed out on %s", user_ref(user.pk), device_ref(device.pk))
    session_store = import_module(settings.SESSION_ENGINE).SessionStore
    ids = [DeviceId(device.pk) for device in devices]
    with transaction.atomic():
        Device.objects.filter(pk__in=ids).update(revoked_at=timezone.now())
        for device in devices:
            if device.session_key is not None:
                session_store(device.session_key).delete()
        transaction.on_commit(lambda: close_sockets(UserId(user.pk), ids))


def close_sockets(user: UserId, devices: list[DeviceId]) -> None:
    """Close the sockets of these devices of a user, within a second."""
    async_to_sync(tell_pods_of)(
        [user], RevokeDevices(user, devices), registry=container.registry(), bus=container.pod_bus()
    )


def delete_expired(*, keep_days: int = 90) -> int:
    """Delete devices that ended more than ``keep_days`` ago; return how many."""
    before = timezone.now() - timedelta(days=keep_days)
    ended = Device.objects.filter(revoked_at__lt=before) | Device.objects.filter(expires_at__lt=before)
    return ended.delete()[0]


_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


def describe(user_agent: str) -> str:
    """Return a name that a person recognises, such as ``Firefox on Linux``."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), None)
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), None)
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or "App"
