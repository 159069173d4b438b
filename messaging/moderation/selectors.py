"""What a person may know of what moderators decided: about them, and about what they reported."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from messaging.domain.ids import UserId
from messaging.moderation.models import Case, Report, Sanction, Takedown


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


@dataclass(frozen=True, slots=True)
class Reported:
    """What somebody reported, and whether anything followed: ``result`` is ``open``, ``acted`` or ``no_action``.

    Not what: that is between the moderators and whom it concerns (docs/decisions/0085).
    """

    id: int
    about: str
    category: str
    at: datetime
    result: str
    decided_at: datetime | None


def reported_by(user_id: UserId, *, limit: int = 50) -> list[Reported]:
    """Return what a person reported, newest first."""
    reports = Report.objects.filter(reporter_id=user_id).select_related("case").order_by("-created_at")[:limit]
    return [
        Reported(it.pk, it.case.kind, it.category, it.created_at, result_of(it.case), it.case.decided_at)
        for it in reports
    ]


def result_of(case: Case) -> str:
    """Return whether anything followed from a case, as its reporters are told."""
    if case.state == Case.State.OPEN:
        return "open"
    return "no_action" if case.outcome == Case.Outcome.DISMISSED else "acted"
