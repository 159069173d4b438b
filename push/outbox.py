"""Pushes that were promised: one row for a message and device, from the intent to what became of it (design section 8).

An intent may come twice, and a worker may die anywhere: the row is there once, is claimed for a minute by whoever sends
it, and is due again where nobody said what became of it. So a push is sent at least once, and as a rule once.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F, Min, Q
from django.utils import timezone
from prometheus_client import Counter, Gauge, Histogram

from accounts.language import speaking_to
from messaging.domain import events, ids
from messaging.domain.ids import ConversationId, DeviceId, MessageId, UserId
from push import content, sending
from push.models import Push, Subscription
from push.planning import Candidate, Plan, address_of, badges, decide, usable
from push.providers.base import Outcome, Result

logger = logging.getLogger(__name__)

DELAY = Histogram(
    "chat_push_delay_seconds",
    "From the log's append time of a message to its provider's answer.",
    buckets=(0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300),
)
DEAD_TOKENS = Counter(
    "chat_push_dead_tokens_total", "Subscriptions removed because their address is dead.", ["provider"]
)
BACKLOG = Gauge("chat_push_backlog", "Pushes that wait.")
BACKLOG_AGE = Gauge("chat_push_backlog_age_seconds", "Age of the oldest message whose push waits.")

#: Older messages are not pushed any more; they go into the mail.
LATE_AFTER_S: Final = 300
#: For so long a push that is being sent is nobody else's.
LEASE_S: Final = 90
_BATCH: Final = 200
#: How much of what is due for the same people is looked through for these.
_MAX_LOOK: Final = 5_000
#: Rows that one attempt takes on: what is due, and what waits behind it for the same notification on a device.
_MAX_CLAIM: Final = 1_000
#: Values of one query; databases bound them.
_MAX_IN_QUERY: Final = 1_000
_KEEP_DAYS: Final = 7


def late_before(now: datetime) -> MessageId:
    """Return the id below which a message is too old for a push."""
    return ids.first_id_at(int((now.timestamp() - LATE_AFTER_S) * 1000))


def accept(intents: Sequence[events.PushIntent]) -> None:
    """Send what is wanted of the intents, and keep what could not be sent for ``send_due``. May be repeated."""
    now = timezone.now()
    candidates = _candidates(intents)
    for start in range(0, len(candidates), _BATCH):
        part = candidates[start : start + _BATCH]
        late = [candidate for candidate in part if candidate.message < late_before(now)]
        _insert(late, claim=None, next_at=None)
        plans, _ = decide([it for it in part if it.message >= late_before(now)], now=now, also_quiet=True)
        claim = uuid4()
        _insert([plan.candidate for plan in plans], claim=claim, next_at=now + timedelta(seconds=LEASE_S))
        _send(_claimed(claim), {plan.candidate: plan for plan in plans})


def subscriptions(field: str, values: Iterable[int]) -> list[Subscription]:
    """Return the usable subscriptions whose ``field`` is among the values, however many these are."""
    wanted = list(values)
    return [
        row
        for start in range(0, len(wanted), _MAX_IN_QUERY)
        for row in usable(Q(**{f"{field}__in": wanted[start : start + _MAX_IN_QUERY]}))
    ]


def _candidates(intents: Sequence[events.PushIntent]) -> list[Candidate]:
    reachable = subscriptions("user_id", {user for intent in intents for user in intent.users})
    reachable += subscriptions("pk", {device for intent in intents for device in intent.devices})
    of_user: dict[UserId, list[DeviceId]] = defaultdict(list)
    owner: dict[DeviceId, UserId] = {}
    for row in {row.pk: row for row in reachable}.values():
        of_user[UserId(row.user_id)].append(DeviceId(row.pk))
        owner[DeviceId(row.pk)] = UserId(row.user_id)
    found: dict[Candidate, None] = {}
    for intent in intents:
        reached = {device: user for user in intent.users for device in of_user.get(user, ())}
        reached |= {device: owner[device] for device in intent.devices if device in owner}
        for device, user in reached.items():
            found[Candidate(intent.conversation, intent.message, intent.sender, user, device)] = None
    return list(found)


def _insert(candidates: Iterable[Candidate], *, claim: UUID | None, next_at: datetime | None) -> None:
    """Make the rows that are not there yet."""
    rows = [
        Push(
            conversation_id=it.conversation,
            message_id=it.message,
            sender_id=it.sender,
            user_id=it.user,
            device_id=it.device,
            claim=claim,
            next_at=next_at,
        )
        for it in candidates
    ]
    Push.objects.bulk_create(rows, ignore_conflicts=True)


def _claimed(claim: UUID) -> list[Push]:
    return list(Push.objects.filter(claim=claim, state=Push.State.WAITING))


def candidate_of(row: Push) -> Candidate:
    """Return the candidate that a row was made for."""
    return Candidate(
        ConversationId(row.conversation_id),
        MessageId(row.message_id),
        UserId(row.sender_id),
        UserId(row.user_id),
        DeviceId(row.device_id),
    )


def send_due(*, limit: int = 5_000) -> int:
    """Try again what is due, as long as it is not too late for it; return how many were tried.

    Ends early where no provider takes anything now.
    """
    tried = 0
    while tried < limit:
        now = timezone.now()
        rows = _claim_due(now)
        if not rows:
            break
        tried += len(rows)
        plans, refused = decide([candidate_of(row) for row in rows], now=now, also_quiet=True)
        for reason in set(refused.values()):
            unwanted = [row.pk for row in rows if refused.get(candidate_of(row)) == reason]
            _finish(unwanted, Push.State.SKIPPED, reason)
        wanted = {plan.candidate: plan for plan in plans}
        outcomes = _send([row for row in rows if candidate_of(row) in wanted], wanted)
        if outcomes and all(outcome.untried for outcome in outcomes):
            break
    return tried


def _claim_due(now: datetime) -> list[Push]:
    """Claim what is due the longest, and with it what is due besides for the same notifications on the devices."""
    due = Push.objects.filter(state=Push.State.WAITING, next_at__lte=now, message_id__gte=late_before(now))
    fields = ("pk", "user_id", "device_id", "conversation_id")
    first = list(due.order_by("next_at").values_list(*fields)[:_BATCH])
    if not first:
        return []
    shown = {(device, conversation) for _, _, device, conversation in first}
    theirs = due.filter(user_id__in={user for _, user, _, _ in first}).order_by("-message_id").values_list(*fields)
    chosen = {pk: None for pk, *_ in first}
    chosen |= {pk: None for pk, _, device, conversation in theirs[:_MAX_LOOK] if (device, conversation) in shown}
    claim = uuid4()
    # Of two workers that chose the same, the second finds them no longer due.
    due.filter(pk__in=list(chosen)[:_MAX_CLAIM]).update(claim=claim, next_at=now + timedelta(seconds=LEASE_S))
    return _claimed(claim)


def _send(rows: Sequence[Push], plans: dict[Candidate, Plan]) -> list[Outcome]:
    """Send claimed rows; of one conversation only the last message goes to a device. Return what came of these."""
    rows = _not_replaced(rows)
    last: dict[tuple[int, int], Push] = {}
    for row in sorted(rows, key=lambda row: row.message_id):
        last[row.device_id, row.conversation_id] = row
    chosen = list(last.values())
    if not chosen:
        return []
    numbers = badges({UserId(row.user_id) for row in chosen})
    wanted = [plans[candidate_of(row)] for row in chosen]
    items = [(address_of(plan.subscription), plan.notice(numbers.get(plan.candidate.user, 1))) for plan in wanted]
    outcomes = sending.engine().send(items)
    _record(rows, list(zip(chosen, wanted, outcomes, strict=True)))
    return outcomes


def _not_replaced(rows: Sequence[Push]) -> list[Push]:
    """Return the rows whose device was sent nothing later of the conversation, in whose place they would be shown."""
    if not rows:
        return []
    later = Push.objects.filter(
        user_id__in={row.user_id for row in rows},
        state=Push.State.SENT,
        message_id__gt=min(row.message_id for row in rows),
    )
    shown: dict[tuple[int, int], int] = {}
    for device, conversation, message in later.values_list("device_id", "conversation_id", "message_id"):
        shown[device, conversation] = max(message, shown.get((device, conversation), 0))
    left = [row for row in rows if row.message_id > shown.get((row.device_id, row.conversation_id), 0)]
    kept = {row.pk for row in left}
    _finish([row.pk for row in rows if row.pk not in kept], Push.State.COLLAPSED, "")
    return left


def _record(rows: Sequence[Push], done: Sequence[tuple[Push, Plan, Outcome]]) -> None:
    now = timezone.now()
    earlier: dict[tuple[int, int], list[int]] = defaultdict(list)
    chosen = {row.pk for row, _, _ in done}
    for row in rows:
        if row.pk not in chosen:
            earlier[row.device_id, row.conversation_id].append(row.pk)
    sent: list[int] = []
    replaced: list[int] = []
    again: dict[_Retry, tuple[list[int], float]] = {}
    with transaction.atomic():
        for row, plan, outcome in done:
            before = earlier[row.device_id, row.conversation_id]
            match outcome.result:
                case Result.SENT:
                    sent.append(row.pk)
                    replaced += before
                    DELAY.observe(max(0.0, time.time() - ids.timestamp_ms(row.message_id) / 1000))
                case Result.GONE | Result.REFUSED:
                    _finish([row.pk, *before], Push.State.DEAD, outcome.reason)
                case Result.RETRY:
                    kind = _Retry(0 if outcome.untried else row.attempts, outcome.untried, outcome.reason)
                    pks, asked_s = again.get(kind, ([], 0.0))
                    pks += [row.pk, *before]
                    again[kind] = pks, max(asked_s, outcome.retry_after_s or 0.0)
            note(plan.subscription, outcome, save_success=False)
        for kind, (pks, asked_s) in again.items():
            _again(pks, kind, asked_s, now)
        _finish(sent, Push.State.SENT, "")
        _finish(replaced, Push.State.COLLAPSED, "")
        reached = [row.device_id for row, _, outcome in done if outcome.result is Result.SENT]
        Subscription.objects.filter(pk__in=reached).update(last_success_at=now, last_error="")


def _finish(pks: Sequence[int], state: str, reason: str) -> None:
    if pks:
        Push.objects.filter(pk__in=pks, state=Push.State.WAITING).update(
            state=state, reason=reason[:120], done_at=timezone.now(), attempts=F("attempts") + 1
        )


@dataclass(frozen=True, slots=True)
class _Retry:
    """What pushes have in common that are tried again together. ``untried``: no provider has seen them."""

    attempts: int
    untried: bool
    reason: str


def _again(pks: Sequence[int], kind: _Retry, asked_s: float, now: datetime) -> None:
    """Let go of the rows until their next attempt: one statement for all, however many an outage has touched."""
    Push.objects.filter(pk__in=pks, state=Push.State.WAITING).update(
        next_at=now + timedelta(seconds=sending.backoff_s(kind.attempts, asked_s)),
        claim=None,
        reason=kind.reason[:120],
        attempts=F("attempts") + (0 if kind.untried else 1),
    )


def note(subscription: Subscription, outcome: Outcome, *, save_success: bool = True) -> None:
    """Note at a subscription what came of a push; remove it where its address is dead and still the same."""
    if outcome.result is Result.SENT and not save_success:
        return
    same = Subscription.objects.filter(pk=subscription.pk, address_digest=subscription.address_digest)
    now = timezone.now()
    match outcome.result:
        case Result.SENT:
            same.update(last_success_at=now, last_error="")
        case Result.GONE:
            same.delete()
            DEAD_TOKENS.labels(subscription.provider).inc()
            logger.info("a subscription of %s is gone: %s", subscription.provider, outcome.reason)
        case Result.REFUSED | Result.RETRY if not outcome.untried:
            same.update(last_error=outcome.reason[:120], last_error_at=now)


def take_back(marks: Sequence[events.ReadMark]) -> None:
    """Withdraw what was pushed up to the marks, on every device but the one that read; what waits is not sent."""
    for start in range(0, len(marks), _MAX_IN_QUERY):
        _take_back(marks[start : start + _MAX_IN_QUERY])


def _take_back(marks: Sequence[events.ReadMark]) -> None:
    newest = {(mark.user, mark.conversation): mark for mark in sorted(marks, key=lambda mark: mark.message)}
    open_ = (Push.State.WAITING, Push.State.SENT, Push.State.COLLAPSED)
    users, conversations = {mark.user for mark in marks}, {mark.conversation for mark in marks}
    rows = Push.objects.filter(user_id__in=users, conversation_id__in=conversations, state__in=open_)
    waiting: list[int] = []
    told: list[int] = []
    devices: dict[DeviceId, events.ReadMark] = {}
    for row in rows:
        mark = newest.get((UserId(row.user_id), ConversationId(row.conversation_id)))
        if mark is None or row.message_id > mark.message:
            continue
        if row.state == Push.State.WAITING:
            waiting.append(row.pk)
            continue
        told.append(row.pk)
        if row.state == Push.State.SENT and row.device_id != mark.device:
            devices[DeviceId(row.device_id)] = mark
    _finish(waiting, Push.State.SKIPPED, "read")
    Push.objects.filter(pk__in=told).update(state=Push.State.WITHDRAWN, done_at=timezone.now())
    silenced = [one for one in subscriptions("pk", devices) if takes_silence(one)]
    if not silenced:
        return
    numbers = badges({UserId(one.user_id) for one in silenced})
    items = []
    for one in silenced:
        mark = devices[DeviceId(one.pk)]
        badge = numbers.get(mark.user, 0)
        items.append((address_of(one), content.taken_back(mark.conversation, mark.message, badge=badge)))
    for one, outcome in zip(silenced, sending.engine().send(items), strict=True):
        # Best effort: one that is late would take back what came after it.
        if outcome.result is Result.GONE:
            note(one, outcome)


def takes_silence(subscription: Subscription) -> bool:
    """Return whether the device's browser lets a push show nothing: Safari ends subscriptions for it."""
    return not (subscription.provider == "webpush" and ".push.apple.com/" in subscription.address)


def send_test(device_id: DeviceId) -> None:
    """Send the push that says that pushes arrive; note what came of it. No error where there is no subscription."""
    for row in usable(Q(pk=device_id)):
        with speaking_to(row.user):
            notice = content.test_notice()
        [outcome] = sending.engine().send([(address_of(row), notice)])
        note(row, outcome)


def measure(now: datetime) -> float:
    """Set the gauges of what waits; return the age of the oldest in seconds."""
    waiting = Push.objects.filter(state=Push.State.WAITING)
    BACKLOG.set(waiting.count())
    oldest = waiting.aggregate(oldest=Min("message_id"))["oldest"]
    age_s = 0.0 if oldest is None else max(0.0, now.timestamp() - ids.timestamp_ms(oldest) / 1000)
    BACKLOG_AGE.set(age_s)
    return age_s


def next_due_s(now: datetime) -> float | None:
    """Return in how many seconds the next push is due that is not too late; None where none waits."""
    due = Push.objects.filter(state=Push.State.WAITING, message_id__gte=late_before(now))
    first: datetime | None = due.aggregate(first=Min("next_at"))["first"]
    return None if first is None else max(0.0, (first - now).total_seconds())


def delete_old() -> int:
    """Delete rows older than a week, whatever became of them; return how many."""
    return Push.objects.filter(created_at__lt=timezone.now() - timedelta(days=_KEEP_DAYS)).delete()[0]
