"""Keeping a user out for a while: every door asks here (docs/decisions/0048).

Devices stay as they are: where the suspension ends, whoever was signed in still is.
"""

import math
from datetime import datetime
from typing import Final

from asgiref.sync import async_to_sync
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from chatproject import container
from messaging.domain.errors import CloseCode, InvalidInput, Suspended, Unauthenticated
from messaging.domain.events import RevokeDevices
from messaging.domain.ids import UserId
from messaging.services.fanout import tell_pods_of

#: Bytes of UTF-8 that the reason of a WebSocket's close may have.
_MAX_CLOSE_REASON: Final = 120


def suspend(*, user_id: UserId, reason: str, until: datetime | None) -> None:
    """Keep a user out until a moment, or until ``lift``: sockets close within a second, every door refuses from now on.

    The user's bots are kept out with them.

    ``reason`` is what the user is told. Suspending again replaces reason and end.

    Raises:
        InvalidInput: no reason, or an end that is past.
    """
    if not reason.strip():
        raise InvalidInput("a suspension needs a reason; the user is told")
    if until is not None and until <= timezone.now():
        raise InvalidInput("the end of a suspension must lie ahead")
    user = User.objects.get(pk=user_id)
    user.suspended_at, user.suspended_until, user.suspension_reason = timezone.now(), until, reason.strip()[:300]
    user.save(update_fields=["suspended_at", "suspended_until", "suspension_reason"])
    silenced = [user_id, *(UserId(pk) for pk in user.bots.values_list("pk", flat=True))]
    reason = close_reason(refusal(user))
    transaction.on_commit(lambda: _tell(silenced, reason))


def lift(*, user_id: UserId) -> None:
    """Let a user in again. Idempotent."""
    User.objects.filter(pk=user_id).update(suspended_at=None, suspended_until=None, suspension_reason="")


def _tell(users: list[UserId], reason: str) -> None:
    for user in users:
        event = RevokeDevices(user, [], code=CloseCode.SUSPENDED, reason=reason)
        async_to_sync(tell_pods_of)([user], event, registry=container.registry(), bus=container.pod_bus())


def refuse_absent(user_id: UserId) -> None:
    """Pass a user who could sign in now; for what is done in their name while they are away.

    Raises:
        Unauthenticated: there is no such account, or it is closed. Suspended: moderators keep the user out.
    """
    user = User.objects.filter(pk=user_id, is_active=True, closed_at=None).first()
    if user is None:
        raise Unauthenticated("this account is closed")
    refuse_suspended(user)


def refuse_suspended(user: User) -> None:
    """Pass a user who is not suspended, nor a bot whose owner is. Raises Suspended."""
    kept_out = user.kept_out
    if kept_out is not None:
        raise refusal(kept_out)


def refusal(user: User) -> Suspended:
    """Return what a suspended user is told."""
    until = user.suspended_until
    if until is None:
        return Suspended(f"this account is suspended: {user.suspension_reason}")
    left_s = math.ceil((until - timezone.now()).total_seconds())
    when = f"{until:%Y-%m-%d %H:%M} UTC"
    return Suspended(f"this account is suspended until {when}: {user.suspension_reason}", retry_after=max(1, left_s))


def close_reason(error: Suspended) -> str:
    """Return the words for the close of a socket, which has room for few."""
    return error.detail.encode()[:_MAX_CLOSE_REASON].decode(errors="ignore")
