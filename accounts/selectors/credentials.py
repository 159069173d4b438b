"""Whose credential is this, and what else is signed in?"""

from collections.abc import Collection, Iterable
from importlib import import_module

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import IntegrityError, models
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from prometheus_client import Counter

from accounts.models import Device, User, token_digest
from accounts.services.devices import describe

AUTH_FAILURES = Counter(
    "chat_auth_failures_total",
    "Credentials that were refused: a token or session on a socket, a token over REST, a password, a code or passkey, "
    "a sign-in at the OpenID provider.",
    ["door"],
)


def signed_in(prefix: str = "") -> models.Q:
    """Return the condition of a device on which somebody is signed in: not revoked, and not expired.

    ``prefix``: how the device is reached in the query, as in ``device__``.
    """
    valid = models.Q(**{f"{prefix}expires_at": None}) | models.Q(**{f"{prefix}expires_at__gt": timezone.now()})
    return models.Q(**{f"{prefix}revoked_at": None}) & valid


def let_in(prefix: str = "") -> models.Q:
    """Return the condition of a user who is active and not suspended, nor the bot of one who is.

    ``prefix``: as for ``signed_in``.
    """
    return models.Q(**{f"{prefix}is_active": True}) & _not_suspended(prefix) & _not_suspended(f"{prefix}bot__owner__")


def _not_suspended(prefix: str) -> models.Q:
    over = models.Q(**{f"{prefix}suspended_until__lte": timezone.now()})
    return models.Q(**{f"{prefix}suspended_at": None}) | over


def _with_tokens(*kinds: str) -> models.QuerySet[Device]:
    """Return the devices of these kinds that are valid; of bots where bots are let in at all (CHAT_BOTS)."""
    rows = Device.objects.select_related("user__bot__owner").filter(signed_in(), kind__in=kinds, user__is_active=True)
    return rows.exclude(user__is_bot=True) if settings.BOTS == "off" else rows


def devices_for_tokens(tokens: Iterable[str]) -> dict[str, Device]:
    """Return the devices of those bearer tokens that are valid: known, not revoked, not expired. One query."""
    by_digest = {token_digest(token): token for token in tokens}
    rows = _with_tokens(Device.Kind.TOKEN, Device.Kind.BOT).filter(token_digest__in=by_digest)
    return {by_digest[str(device.token_digest)]: device for device in rows}


def still_signed_in(devices: Collection[int]) -> set[int]:
    """Return those of these devices that are not revoked, not expired, and of a user who is let in. One query."""
    rows = Device.objects.filter(signed_in(), let_in("user__"), pk__in=devices)
    return set(rows.values_list("pk", flat=True))


def device_for_token(token: str) -> Device | None:
    """Return the device of a valid bearer token; None for one that is unknown, revoked or expired."""
    return devices_for_tokens([token]).get(token)


def hook_for_token(token: str) -> Device | None:
    """Return the webhook whose address has this secret; None for one that is unknown, revoked or expired."""
    return _with_tokens(Device.Kind.HOOK).filter(token_digest=token_digest(token)).first()


def device_for_session(session_key: str, *, user_agent: str = "") -> Device | None:
    """Return the device of a valid web session, made at its first use; None for any other session."""
    session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    if BACKEND_SESSION_KEY not in session:
        return None
    user = User.objects.filter(pk=session.get(SESSION_KEY) or 0, is_active=True).first()
    # The hash changes with the password: an old session is void. Not so with the secret key, while it is a fallback.
    if user is None:
        return None
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    if not any(constant_time_compare(session.get(HASH_SESSION_KEY, ""), good) for good in hashes):
        return None
    defaults = {"user": user, "kind": Device.Kind.WEB, "name": describe(user_agent)}
    try:
        device, _ = Device.objects.select_related("user").get_or_create(session_key=session_key, defaults=defaults)
    except IntegrityError:
        return None
    return None if device.revoked_at is not None or device.user_id != user.pk else device


def devices_of(user: User) -> list[Device]:
    """Return where the user is signed in, most recently used first."""
    return list(Device.objects.filter(signed_in(), user=user).order_by("-last_used_at", "-pk"))
