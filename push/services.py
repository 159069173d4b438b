"""The writers of subscriptions and settings."""

import re
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import available_timezones

from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from messaging.domain.errors import InvalidInput, Unavailable
from messaging.domain.ids import DeviceId, UserId
from messaging.jobs import queued
from push.models import PushSettings, Subscription, address_digest
from push.selectors import device_of, settings_of, subscription_of

_MAX_ADDRESS_CHARS: Final = 2_048
_TOKENS: Final = {"apns": r"(?:[0-9a-f]{2}){32,100}", "fcm": r"[A-Za-z0-9_:.-]{20,2048}"}


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """What a device tells of itself. ``address``: a token, or a browser's endpoint with its ``keys``."""

    provider: str
    address: str
    keys: dict[str, str] = field(default_factory=dict)
    environment: str = "production"
    topic: str = ""
    enabled: bool = True
    content: str = ""


def subscribe(*, user: User, device_id: DeviceId, new: NewSubscription) -> Subscription:
    """Let the device get pushes at this address, and nowhere else. Idempotent.

    The address leaves whatever device had it: an app that somebody else signs in to keeps its token, and what was
    meant for the one before must not reach the one who has it now.

    Raises:
        NotFound: no such device, or somebody else's.
        InvalidInput: the address is none, or the provider is not set up here.
    """
    device = device_of(user, device_id)
    topic = _checked(new)
    digest = address_digest(new.provider, new.address)
    with transaction.atomic():
        before = Subscription.objects.filter(pk=device.pk).first()
        same = before is not None and before.address_digest == digest
        Subscription.objects.filter(address_digest=digest).exclude(pk=device.pk).delete()
        values: dict[str, Any] = {
            "user": user,
            "provider": new.provider,
            "address": new.address,
            "address_digest": digest,
            "keys": new.keys if new.provider == "webpush" else {},
            "environment": new.environment,
            "topic": topic,
            "enabled": new.enabled,
            "content": new.content,
        }
        if not same:
            values |= {"created_at": timezone.now(), "last_success_at": None, "last_error": "", "last_error_at": None}
        subscription, _ = Subscription.objects.update_or_create(device=device, defaults=values)
    return subscription


def unsubscribe(*, user: User, device_id: DeviceId) -> None:
    """Send the device no more pushes. Idempotent. Raises NotFound for a device that is not the user's."""
    Subscription.objects.filter(device=device_of(user, device_id)).delete()


def send_test_push(*, user: User, device_id: DeviceId) -> None:
    """Queue a push that says that pushes arrive; its outcome is seen at the subscription.

    Raises:
        NotFound: no such device of the user's, or it gets no pushes.
        Unavailable: the jobs' broker is away.
    """
    from push.tasks import send_test

    subscription_of(user, device_id)
    if not queued(send_test, device_id):
        raise Unavailable("cannot send now", retry_after=10.0)


def change_settings(*, user: User, changes: dict[str, Any]) -> PushSettings:
    """Change some of what the user wants, and return all of it.

    Raises:
        InvalidInput: no such time zone, or only one end of the quiet hours.
    """
    wanted = settings_of(user)
    for name, value in changes.items():
        setattr(wanted, name, value)
    if wanted.time_zone not in available_timezones():
        raise InvalidInput("time_zone: no such time zone")
    if (wanted.quiet_from is None) != (wanted.quiet_until is None):
        raise InvalidInput("quiet_from, quiet_until: both or neither")
    wanted.save()
    return wanted


def _checked(new: NewSubscription) -> str:
    """Return the topic that holds for an address that is good. Raises InvalidInput."""
    config: Any = settings.PUSH
    if new.provider not in config.providers():
        raise InvalidInput(f"provider: this server does not send by {new.provider}")
    if len(new.address) > _MAX_ADDRESS_CHARS:
        raise InvalidInput("the address is too long")
    if new.provider == "webpush":
        if not config.may_call(new.address):
            raise InvalidInput("endpoint: no push service that this server knows")
        _check_keys(new.keys)
        return ""
    if not re.fullmatch(_TOKENS[new.provider], new.address):
        raise InvalidInput(f"token: no token of {new.provider}")
    if new.provider == "fcm":
        return ""
    topic: str = new.topic or config.apns.topics[0]
    if topic not in config.apns.topics:
        raise InvalidInput("topic: no app of this server's")
    return topic


def _check_keys(keys: dict[str, str]) -> None:
    try:
        point, auth = (urlsafe_b64decode(keys[name] + "=" * (-len(keys[name]) % 4)) for name in ("p256dh", "auth"))
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except (KeyError, Base64Error, ValueError):
        raise InvalidInput("keys: p256dh and auth of the browser's subscription are needed") from None
    if len(point) != 65 or len(auth) != 16:
        raise InvalidInput("keys: p256dh and auth of the browser's subscription are needed")


def forget_settings(user: UserId) -> None:
    """Delete what a user wants of pushes; addresses go with their devices."""
    PushSettings.objects.filter(user_id=user).delete()
