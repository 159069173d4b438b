"""What is too late for a push: one mail a person in place of many stale notifications (design section 8)."""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from prometheus_client import Counter

from accounts.language import speaking_to
from accounts.models import User
from accounts.tasks import send_mail_task
from push.content import may_show, title_of
from push.models import Content, Push, PushSettings
from push.outbox import candidate_of, late_before
from push.planning import Plan, decide, settings_for

SPILLED = Counter("chat_push_spilled_total", "Pushes that came too late to be sent.")
MAILS = Counter("chat_push_summaries_total", "Mails sent in place of pushes that were too late.")

#: A backlog drains over many minutes; a person gets one mail in this time, with all that is late then.
EVERY: Final = timedelta(minutes=15)
_MAX_USERS: Final = 5_000
#: People, and pushes, that are decided about together.
_USERS: Final = 100
_CANDIDATES: Final = 1_000
_MAX_LINES: Final = 20


def spill(now: datetime) -> int:
    """Give up the pushes that are too late; whoever has unread messages among them gets a mail. Returns how many.

    They are never pushed after this. At most so many people at a time as ``_MAX_USERS``; the next call goes on.
    """
    late = Push.objects.filter(state=Push.State.WAITING, message_id__lt=late_before(now))
    # Where somebody is at it, what comes of that decides: pushed, or given up next time.
    late = late.exclude(claim__isnull=False, next_at__gt=now)
    # They are due no more: whoever looks for what is has not to pass over them until their mail goes.
    late.filter(next_at__isnull=False).update(next_at=None)
    told_lately = PushSettings.objects.filter(summary_at__gt=now - EVERY).values("pk")
    users = list(late.exclude(user_id__in=told_lately).values_list("user_id", flat=True).distinct()[:_MAX_USERS])
    return sum(_spill_for(users[start : start + _USERS], late, now) for start in range(0, len(users), _USERS))


def _spill_for(user_ids: Sequence[int], late: QuerySet[Push], now: datetime) -> int:
    rows = list(late.filter(user_id__in=user_ids))
    plans: dict[int, list[Plan]] = defaultdict(list)
    for start in range(0, len(rows), _CANDIDATES):
        for plan in decide([candidate_of(row) for row in rows[start : start + _CANDIDATES]], now=now)[0]:
            plans[plan.candidate.user].append(plan)
    return _give_up([row.pk for row in rows], plans, now)


def _give_up(pks: Sequence[int], plans: Mapping[int, Sequence[Plan]], now: datetime) -> int:
    claim, spilled = uuid4(), 0
    users: set[int] = set()
    with transaction.atomic():
        for start in range(0, len(pks), _CANDIDATES):
            mine = Push.objects.filter(pk__in=pks[start : start + _CANDIDATES])
            # Of two that have read the same, each mails whom it was the first to take.
            waiting = mine.filter(state=Push.State.WAITING)
            spilled += waiting.update(state=Push.State.SPILLED, claim=claim, done_at=now, reason="")
            users |= set(mine.filter(claim=claim).values_list("user_id", flat=True))
        people = list(User.objects.filter(pk__in=users))
        PushSettings.objects.bulk_create(
            [PushSettings(user=person, summary_at=now) for person in people],
            update_conflicts=True,
            unique_fields=["user"],
            update_fields=["summary_at"],
        )
        # Inside: where the mails cannot be queued, all stays as it was.
        for person in people:
            _mail(person, plans.get(person.pk, ()))
    SPILLED.inc(spilled)
    return spilled


def _mail(user: User, plans: Sequence[Plan]) -> None:
    if not plans or not user.email or not settings_for(plans[0].subscription).email_summary:
        return
    # Several devices of one person tell of the same messages.
    messages = {plan.said.message.message_id: plan for plan in plans}
    with speaking_to(user):
        subject, body = _words(list(messages.values()), settings_for(plans[0].subscription).content)
    send_mail_task.delay(subject, body, settings.DEFAULT_FROM_EMAIL, [user.email])
    MAILS.inc()


def _words(plans: Sequence[Plan], content: str) -> tuple[str, str]:
    """Return subject and text: how many from whom, never what they said; no names, where the reader wants none."""
    count = len(plans)
    number = {"count": count}
    subject = ngettext("%(count)d unread message", "%(count)d unread messages", count) % number
    lines = [
        ngettext(
            "There is %(count)d unread message for you in the chat.",
            "There are %(count)d unread messages for you in the chat.",
            count,
        )
        % number
    ]
    if content != Content.NOTHING:
        tally = Tally(_name(plan) for plan in plans)
        lines += ["", *(f"- {name}: {number}" for name, number in tally.most_common(_MAX_LINES))]
    lines += ["", _("You get this mail because notifications could not be sent in time.")]
    return subject, "\n".join(lines)


def _name(plan: Plan) -> str:
    if not may_show(plan.said):
        return _("An encrypted conversation")
    return title_of(plan.said.conversation, plan.said.sender_name)
