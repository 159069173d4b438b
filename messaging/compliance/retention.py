"""Deletes what is over its time, in every copy, but for what is held (design section 9; docs/decisions/0044).

A sweep goes through all conversations in the order of their positions. In each it first moves ``expired_id`` on, from
which on members see no more of it, and then deletes, the oldest first, in steps of a few hundred messages. Each step
asks for holds inside itself. Everything may be done again: a sweep that died goes on where it was.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4, uuid5

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import F, Q
from django.utils import timezone
from prometheus_client import Counter, Gauge

from chatproject import container
from messaging.compliance import holds
from messaging.compliance.audit import Action, record
from messaging.compliance.models import Jurisdiction, RetentionPolicy, Sweep
from messaging.compliance.rules import Policy, Rule, duty_for, rule_for
from messaging.domain.errors import Unavailable
from messaging.domain.events import MessagesExpired
from messaging.domain.ids import MAX_ID, ConversationId, MessageId, UserId, conversation_ref, first_id_at
from messaging.domain.messages import Conversation, MessageChangeKind
from messaging.ports import Kept, LogUnavailable, StoreUnavailable
from messaging.services.send import append_change

logger = logging.getLogger(__name__)

SWEPT = Counter(
    "chat_retention_messages_total", "Messages over their time: deleted, or failed to be, by a sweep.", ["result"]
)
SWEEP_AGE = Gauge("chat_retention_sweep_age_seconds", "Since the begin of the last sweep that came to its end.")

#: Messages of one step: it holds a lock that others wait for.
STEP: Final = 500
_PAGE: Final = 100
#: Single messages that are kept because an edit of theirs is held.
_MOST_SPANS: Final = 100
_MEMBERS: Final = 1_000
#: How long a conversation waits for the log, to tell what went. Every one does, where the log is away.
_TELL_S: Final = 1.0
_RECORDS: Final = UUID("3c1e0a44-96a0-4c7b-a0f7-50d5d7c9b0c2")
#: A sweep that has not said for so long that it goes on is dead.
_LEASE: Final = timedelta(minutes=5)


@dataclass(slots=True)
class Counts:
    """Messages over their time: all, and what became of them."""

    conversations: int = 0
    due: int = 0
    deleted: int = 0
    held: int = 0
    failed: int = 0

    def add(self, other: "Counts") -> None:
        """Add another's."""
        self.conversations += other.conversations
        self.due += other.due
        self.deleted += other.deleted
        self.held += other.held
        self.failed += other.failed


@dataclass(frozen=True, slots=True)
class Line:
    """What a dry run says of one conversation."""

    conversation_id: ConversationId
    rule: Rule
    counts: Counts


# --- rules ----------------------------------------------------------------------------------------


class Rules:
    """The policies and jurisdictions as they are at one moment."""

    def __init__(self) -> None:
        self._policies = [
            Policy(it.jurisdiction, it.conversation_type, it.min_days, it.max_days)
            for it in RetentionPolicy.objects.all()
        ]
        self._of_conversation: dict[int, str] = {}
        self._of_user: dict[int, str] = {}
        for it in Jurisdiction.objects.all():
            if it.conversation_id is not None:
                self._of_conversation[it.conversation_id] = it.code
            elif it.user_id is not None:
                self._of_user[it.user_id] = it.code

    def of(self, conversation: Conversation) -> Rule:
        """Return the rule of a conversation."""
        return rule_for(
            self._policies,
            jurisdictions=self._jurisdictions(conversation),
            conversation_type=conversation.type.value,
            timer_s=conversation.timer_s,
        )

    def kept(self, conversation: Conversation, *, now: datetime) -> Kept:
        """Return the ids that have to be kept for a time that is not over, counted in whole days of ``now``."""
        duty = duty_for(
            self._policies,
            jurisdictions=self._jurisdictions(conversation),
            conversation_type=conversation.type.value,
        )
        if duty is None:
            return ()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return ((_id_before(midnight, duty), MessageId(MAX_ID)),)

    def _jurisdictions(self, conversation: Conversation) -> set[str]:
        """Return whose laws hold: its own, if it has one; else its members', who without one have the default."""
        own = self._of_conversation.get(conversation.id)
        default: str = settings.JURISDICTION
        if own is not None:
            return {own}
        if not self._of_user or not any(policy.jurisdiction for policy in self._policies):
            return {default}
        codes: set[str] = set()
        store, after = container.conversation_store(), UserId(0)
        while page := store.members(conversation.id, after=after, limit=_MEMBERS):
            codes |= {self._of_user.get(place.user_id, default) for place in page}
            after = page[-1].user_id
        return codes or {default}


def _id_before(now: datetime, age: timedelta) -> MessageId:
    """Return the first id that is not older than ``age``."""
    return first_id_at(int((now - age).timestamp() * 1000))


# --- one conversation -----------------------------------------------------------------------------


def expire(conversation: Conversation, rule: Rule, *, now: datetime) -> Counts:
    """Hide and delete what of a conversation is over its time; return what was done. May be repeated.

    Raises:
        StoreUnavailable, DatabaseError: what was deleted before is deleted.
    """
    counts = Counts(conversations=1)
    if rule.hidden_after is None or rule.deleted_after is None:
        return counts
    hidden = MessageId(_id_before(now, rule.hidden_after) - 1)
    if hidden > conversation.expired_id:
        _hide(conversation, hidden)
    before = _id_before(now, rule.deleted_after)
    store = container.message_store()
    more = before > 0
    while more:
        with holds.deleting([conversation.id]) as (held, _):
            keep = _kept(conversation.id, held[conversation.id])
            step = store.expired(conversation.id, before=before, keep=keep, limit=STEP)
            for copy in container.copies():
                copy.forget(conversation.id, before=step.upto, keep=keep, media=step.media)
            store.delete_before(conversation.id, before=step.upto, keep=keep)
        counts.deleted += step.due
        # Of all below ``upto``, also of the steps before.
        counts.held = step.held
        more = step.more
    counts.due = counts.deleted + counts.held
    SWEPT.labels("deleted").inc(counts.deleted)
    return counts


def _kept(conversation: ConversationId, held: holds.Held) -> Kept:
    """Return what is held, and the messages whose edits are: an edit says nothing without its message.

    And once the hold is over, nothing would lead to the text of an edit whose message is gone.
    """
    edited: set[MessageId] = set()
    for first, last in held.ranges:
        if first == 0:
            # It covers what its edits are of as well.
            continue
        upto = last
        while page := container.message_store().newest_changes(
            conversation, after=MessageId(first - 1), upto=upto, limit=_PAGE
        ):
            edited |= {it.target_id for it in page if it.kind is MessageChangeKind.EDIT and it.target_id < first}
            upto = MessageId(page[-1].change_id - 1)
    spans = [(it, it) for it in sorted(edited)]
    if len(spans) > _MOST_SPANS:
        # One statement takes so many; more than has to be is kept then.
        spans = [(spans[0][0], spans[-1][1])]
    return (*held.ranges, *spans)


def _hide(conversation: Conversation, upto: MessageId) -> None:
    """Hide what is not above ``upto``, and have those who are connected drop it, where there is any of it."""
    goes = container.message_store().oldest_after(conversation.id, after=conversation.expired_id, upto=upto, limit=1)
    container.conversation_store().expire(conversation.id, upto)
    if goes:
        async_to_sync(_tell)(conversation.id, upto)


async def _tell(conversation: ConversationId, upto: MessageId) -> None:
    """Best effort: who comes back later learns it from the conversation itself."""
    log = container.message_log()
    event = MessagesExpired(uuid5(_RECORDS, f"{conversation} {upto}").bytes, upto)
    deadline = asyncio.get_running_loop().time() + _TELL_S
    try:
        await log.start()
        await append_change(log=log, conversation=conversation, change=event, deadline=deadline)
    except (Unavailable, LogUnavailable):
        logger.warning("the log is away: clients drop what is over its time when they come back")


def preview(conversation: Conversation, rule: Rule, *, now: datetime) -> Counts:
    """Return what ``expire`` would do. Changes nothing."""
    counts = Counts(conversations=1)
    if rule.deleted_after is None:
        return counts
    before = _id_before(now, rule.deleted_after)
    keep = _kept(conversation.id, holds.held([conversation.id])[0][conversation.id])
    found = container.message_store().expired(conversation.id, before=before, keep=keep, limit=10**6)
    return Counts(conversations=1, due=found.due + found.held, deleted=found.due, held=found.held)


# --- all of them ----------------------------------------------------------------------------------


def dry_run(*, now: datetime, tell: Callable[[Line], None], within_s: float | None = None) -> tuple[Counts, bool]:
    """Return what a sweep would do now, and ``tell`` it of each conversation where it would do something.

    ``within_s``: stop looking after that time. Returns as well whether all conversations were looked at.
    """
    rules, counts = Rules(), Counts()
    position: int | None = None
    until = None if within_s is None else time.monotonic() + within_s
    while page := container.conversation_store().scan(after=position, limit=_PAGE):
        position = page[-1][0]
        for _, conversation in page:
            rule = rules.of(conversation)
            found = preview(conversation, rule, now=now)
            counts.add(found)
            if found.due:
                tell(Line(conversation.id, rule, found))
            if until is not None and time.monotonic() >= until:
                return counts, False
    return counts, True


def begin() -> Sweep:
    """Return the sweep that is under way, or a new one."""
    with transaction.atomic():
        under_way = Sweep.objects.select_for_update().filter(finished_at=None).order_by("pk").first()
        return under_way or Sweep.objects.create()


def go_on(sweep: Sweep, *, until: float) -> bool:
    """Sweep on from where it is, up to the monotonic time ``until``; return whether it came to its end.

    One process sweeps at a time; False as well where another does.
    """
    if not _claim(sweep.pk):
        return False
    sweep.refresh_from_db()
    rules, now = Rules(), sweep.started_at
    while page := container.conversation_store().scan(after=sweep.position, limit=_PAGE):
        for position, conversation in page:
            counts = _sweep_one(conversation, rules, now=now)
            _move_on(sweep, position, counts)
            if time.monotonic() >= until:
                Sweep.objects.filter(pk=sweep.pk).update(claimed_until=None)
                return False
    _finish(sweep)
    return True


def _claim(pk: int) -> bool:
    now = timezone.now()
    free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    return bool(Sweep.objects.filter(free, pk=pk, finished_at=None).update(claimed_until=now + _LEASE))


def _sweep_one(conversation: Conversation, rules: Rules, *, now: datetime) -> Counts:
    """Expire one; what fails is counted, written down, and done by the next sweep."""
    try:
        return expire(conversation, rules.of(conversation), now=now)
    except (StoreUnavailable, DatabaseError, OSError):
        incident = uuid4().hex[:8]
        logger.exception("retention failed for a conversation, incident %s", incident)
        SWEPT.labels("failed").inc()
        record(
            Action.RETENTION_FAILED,
            actor=None,
            object=conversation_ref(conversation.id),
            details={"incident": incident},
        )
        return Counts(conversations=1, failed=1)


def _move_on(sweep: Sweep, position: int, counts: Counts) -> None:
    sweep.position = position
    Sweep.objects.filter(pk=sweep.pk).update(
        position=position,
        claimed_until=timezone.now() + _LEASE,
        conversations=F("conversations") + counts.conversations,
        due=F("due") + counts.due,
        deleted=F("deleted") + counts.deleted,
        held=F("held") + counts.held,
        failed=F("failed") + counts.failed,
    )


def _finish(sweep: Sweep) -> None:
    with transaction.atomic():
        sweep.refresh_from_db()
        sweep.finished_at, sweep.claimed_until = timezone.now(), None
        sweep.save(update_fields=["finished_at", "claimed_until"])
        figures = ("conversations", "due", "deleted", "held", "failed")
        details = {name: getattr(sweep, name) for name in figures}
        record(Action.RETENTION_SWEPT, actor=None, object=f"sweep/{sweep.pk}", details=details)
    measure()


def measure() -> None:
    """Set the age of the last sweep that came to its end; without any, that of the first that began."""
    ended = Sweep.objects.exclude(finished_at=None).order_by("-pk").first() or Sweep.objects.order_by("pk").first()
    if ended is not None:
        SWEEP_AGE.set((timezone.now() - ended.started_at).total_seconds())
