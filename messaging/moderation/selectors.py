"""What a person may know of what moderators decided about them."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from messaging.domain.ids import UserId
from messaging.moderation.models import Case, Sanction, Takedown


@dataclass(frozen=True, slots=True)
class Notice:
    """One decision. ``server_id``: of a message that is withheld; ``appeal``: ``open``, ``none``, or how it ended."""

    kind: str
    reason: str
    at: datetime
    until: datetime | None = None
    active: bool = True
    server_id: str | None = None
    appeal: str = ""


def notices_for(user_id: UserId, *, limit: int = 50) -> list[Notice]:
    """Return the newest decisions about a person, newest first."""
    now = timezone.now()
    sanctions = Sanction.objects.filter(user_id=user_id).order_by("-created_at")[:limit]
    takedowns = Takedown.objects.filter(author_id=user_id).select_related("appeal__case").order_by("-made_at")[:limit]
    found = [
        Notice(
            it.kind, it.reason, it.created_at, it.until, it.lifted_at is None and (it.until is None or it.until > now)
        )
        for it in sanctions
    ]
    found += [
        Notice("takedown", it.reason, it.made_at, None, it.lifted_at is None, it.subject, _appeal(it))
        for it in takedowns
    ]
    return sorted(found, key=lambda it: it.at, reverse=True)[:limit]


def _appeal(takedown: Takedown) -> str:
    if not hasattr(takedown, "appeal"):
        return "none"
    case = takedown.appeal.case
    return "open" if case.state == Case.State.OPEN else case.outcome
