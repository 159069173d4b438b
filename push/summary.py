"""What is too late for a push: one mail a person in place of many stale notifications (design section 8)."""

from collections import Counter as Tally
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from prometheus_client import Counter

from accounts.models import User
from accounts.tasks import send_mail_task
from messaging.domain.messages import ConversationType
from push.content import may_show
from push.models import Content, Push, PushSettings
from push.outbox import candidate_of, late_before
from push.planning import Plan, decide, settings_for

SPILLED = Counter("chat_push_spilled_total", "Pushes that came too late to be sent.")
MAILS = Counter("chat_push_summaries_total", "Mails sent in place of pushes that were too late.")

#: A backlog drains over many minutes; a person gets one mail in this time, with all that is late then.
EVERY: Final = timedelta(minutes=15)
_MAX_USERS: Final = 500
_MAX_LINES: Final = 20


def spill(now: datetime) -> int:
    """Give up the pushes that are too late; whoever has unread messages among them gets a mail. Returns how many.

    They are never pushed after this.
    """
    late = Push.objects.filter(state=Push.State.WAITING, message_id__lt=late_before(now))
    told_lately = PushSettings.objects.filter(summary_at__gt=now - EVERY).values("pk")
    users = late.exclude(user_id__in=told_lately).values_list("user_id", flat=True).distinct()[:_MAX_USERS]
    return sum(_spill_for(user, late.filter(user_id=user), now) for user in list(users))


def _spill_for(user_id: int, late: QuerySet[Push], now: datetime) -> int:
    rows = list(late)
    candidates = {candidate_of(row): None for row in rows}
    plans, _ = decide(list(candidates), now=now)
    with transaction.atomic():
        mine = Push.objects.filter(pk__in=[row.pk for row in rows], state=Push.State.WAITING)
        spilled = mine.update(state=Push.State.SPILLED, done_at=now, reason="")
        if not spilled:
            return 0
        PushSettings.objects.update_or_create(user_id=user_id, defaults={"summary_at": now})
        # Inside: where the mail cannot be queued, all stays as it was.
        _mail(User.objects.get(pk=user_id), plans)
    SPILLED.inc(spilled)
    return spilled


def _mail(user: User, plans: Sequence[Plan]) -> None:
    if not plans or not user.email or not settings_for(plans[0].subscription).email_summary:
        return
    # Several devices of one person tell of the same messages.
    messages = {plan.said.message.message_id: plan for plan in plans}
    subject, body = _words(list(messages.values()), settings_for(plans[0].subscription).content)
    send_mail_task.delay(subject, body, settings.DEFAULT_FROM_EMAIL, [user.email])
    MAILS.inc()


def _words(plans: Sequence[Plan], content: str) -> tuple[str, str]:
    """Return subject and text: how many from whom, never what they said; no names, where the reader wants none."""
    count = len(plans)
    subject = f"{count} unread message{'' if count == 1 else 's'}"
    lines = [f"There {'is' if count == 1 else 'are'} {subject} for you in the chat."]
    if content != Content.NOTHING:
        tally = Tally(_name(plan) for plan in plans)
        lines += ["", *(f"- {name}: {number}" for name, number in tally.most_common(_MAX_LINES))]
    lines += ["", "You get this mail because notifications could not be sent in time."]
    return subject, "\n".join(lines)


def _name(plan: Plan) -> str:
    if not may_show(plan.said):
        return "An encrypted conversation"
    if plan.said.conversation.type is ConversationType.DM:
        return plan.said.sender_name
    return plan.said.conversation.name or "Group"
