"""What is counted of people whom moderators limit: the hot path asks only for those (docs/decisions/0057)."""

from datetime import timedelta

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from messaging.domain.errors import RateLimited
from messaging.domain.ids import UserId
from messaging.moderation.models import SendLimit
from messaging.ports import Draft

#: What everybody is told who is too fast.
_TOO_MANY = "too many messages"
_DAY_S = 86_400.0


def running() -> QuerySet[SendLimit]:
    """Return the limits in force."""
    return SendLimit.objects.filter(lifted_at=None, until__gt=timezone.now())


def limited() -> frozenset[UserId]:
    """Return who is limited. One query."""
    return frozenset(UserId(it) for it in running().values_list("user_id", flat=True))


def take(draft: Draft) -> None:
    """Count a text of somebody who may be limited; the same one again counts once. Raises RateLimited."""
    for limit in running().filter(user_id=draft.sender):
        now = timezone.now()
        free = SendLimit.objects.filter(pk=limit.pk, next_at__lte=now)
        if free.update(next_at=now + timedelta(seconds=limit.interval_s), last_msg_id=draft.client_msg_id):
            continue
        limit.refresh_from_db(fields=["next_at", "last_msg_id"])
        if bytes(limit.last_msg_id or b"") != draft.client_msg_id:
            raise RateLimited(_TOO_MANY, retry_after=max(0.1, (limit.next_at - now).total_seconds()))


def begin(user: UserId) -> None:
    """Count a conversation that somebody begins who may be limited. Raises RateLimited."""
    for limit in running().filter(user_id=user):
        today = timezone.now().date()
        SendLimit.objects.filter(Q(day=None) | ~Q(day=today), pk=limit.pk).update(day=today, begun=0)
        room = SendLimit.objects.filter(pk=limit.pk, day=today, begun__lt=limit.conversations_per_day)
        if not room.update(begun=F("begun") + 1):
            raise RateLimited("too many new conversations", retry_after=_DAY_S)
