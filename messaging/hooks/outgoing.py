"""Events on their way to endpoints: at least once, in order within a conversation, each endpoint for itself.

A row is made for each event and endpoint, and waits until the endpoint has taken it (2xx) or a day is over.
Within a conversation the oldest goes first, and what comes after waits for it; other conversations, and other
endpoints, do not. Whoever sends to an endpoint holds a lease on it, so that nobody else sends to it at once. An
endpoint that fails again and again is left alone for longer each time, and after a day switched off, and its owner is
told (docs/decisions/0082).
"""

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from django.conf import settings
from django.db.models import Exists, Min, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy
from prometheus_client import Counter, Gauge, Histogram

from accounts.models import User
from accounts.selectors.credentials import let_in
from accounts.services.notices import mail_notice
from chatproject import container
from messaging.api import render
from messaging.domain import events, ids
from messaging.domain.errors import NotFound
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.hooks import signing
from messaging.hooks.endpoints import PING
from messaging.hooks.models import Delivery, Endpoint
from messaging.hooks.outbound import Answer, Failed, Outbound
from messaging.outbound import Refused
from messaging.selectors.access import require_member
from messaging.selectors.messages import one_message

logger = logging.getLogger(__name__)

SENT = Counter("chat_hooks_sent_total", "Events offered to endpoints of bots, by what came of them.", ["result"])
DROPPED = Counter("chat_hooks_dropped_total", "Events that were not kept: too many wait for their endpoint.")
SWITCHED_OFF = Counter("chat_hooks_switched_off_total", "Endpoints that were switched off.", ["reason"])
DELAY = Histogram(
    "chat_hooks_delay_seconds",
    "From an event's place in the log to its endpoint's having taken it.",
    buckets=(0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600, 86400),
)
WAITING = Gauge("chat_hooks_waiting", "Events that wait for their endpoints.")
OLDEST = Gauge("chat_hooks_waiting_age_seconds", "Age of the oldest event that waits for its endpoint.")
PAUSED = Gauge("chat_hooks_paused", "Endpoints that are left alone for a while since they failed again and again.")

#: How long an endpoint may take to answer (s).
TIMEOUT_S: Final = 5.0
#: Events that wait for one endpoint; overflow rule: newer ones are not kept, and counted.
MAX_WAITING: Final = 1_000
#: How long an event is tried, and an endpoint may fail before it is switched off.
GIVE_UP: Final = timedelta(days=1)
_KEEP: Final = timedelta(days=7)
_FIRST_WAIT_S, _LONGEST_WAIT_S = 5.0, 3_600.0
#: Failures in a row after which an endpoint is left alone, and for how long: twice as long each time.
BREAKER: Final = 5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 30.0, 900.0
#: What an endpoint may ask for with Retry-After.
_MAX_ASKED_S: Final = 6 * 3_600.0
_LEASE: Final = timedelta(seconds=60)
#: Of one round: endpoints, and events of one endpoint, each of another conversation.
_ENDPOINTS: Final = 50
_EACH: Final = 8

_SUBJECT: Final = gettext_lazy("A webhook of your bot was switched off")
_TEXT: Final = gettext_lazy(
    "Nothing is sent any more from your bot %(bot)s to this address:\n\n  %(address)s\n\nThe server says: %(why)s.\n\n"
    "Mend it, then switch it on again in the settings, under “Bots and integrations”.\n"
)


# --- what happened --------------------------------------------------------------------------------


def accept(found: Sequence[events.HookEvent]) -> None:
    """Note what endpoints are to be told. May be repeated: each event is noted once."""
    bots = {bot for event in found for bot in event.bots}
    by_bot: dict[int, list[Endpoint]] = {}
    for endpoint in Endpoint.objects.filter(bot_id__in=bots, off_at=None):
        by_bot.setdefault(endpoint.bot_id, []).append(endpoint)
    rows: dict[Endpoint, list[Delivery]] = {}
    for event in found:
        for bot in event.bots:
            for endpoint in by_bot.get(bot, ()):
                if (kind := _wanted(endpoint, event)) is not None:
                    rows.setdefault(endpoint, []).append(_delivery(endpoint, event, kind))
    for endpoint, new in rows.items():
        waiting = Delivery.objects.filter(endpoint=endpoint, state=Delivery.State.WAITING).count()
        room = max(0, MAX_WAITING - waiting)
        if room < len(new):
            DROPPED.inc(len(new) - room)
        Delivery.objects.bulk_create(new[:room], ignore_conflicts=True)


def _wanted(endpoint: Endpoint, event: events.HookEvent) -> str | None:
    """Return as what an endpoint is to be told of an event; None where it did not ask for it."""
    if event.kind in endpoint.events:
        return event.kind
    if event.kind == "message.created" and "mention" in endpoint.events and endpoint.bot_id in event.mentioned:
        return "mention"
    return None


def _delivery(endpoint: Endpoint, event: events.HookEvent, kind: str) -> Delivery:
    return Delivery(
        endpoint=endpoint,
        type=kind,
        conversation_id=event.conversation,
        at=event.at,
        target=event.target,
        actor=event.actor,
        emoji=event.emoji,
    )


# --- sending --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ready:
    """An event that goes out now, as it is sent."""

    delivery: Delivery
    url: str
    body: bytes
    headers: dict[str, str]


def send_due(*, until: float) -> int:
    """Send what is due, up to the monotonic time ``until`` and a round more; return how many were tried.

    Endpoints that fail have rounds of their own: they may take ``TIMEOUT_S`` to say nothing, and the others do not
    wait for that.
    """
    tried = 0
    while time.monotonic() < until:
        done = _round(failing=False) or _round(failing=True)
        if not done:
            break
        tried += done
    return tried


def _round(*, failing: bool) -> int:
    claimed = _claim(failing=failing)
    if not claimed:
        return 0
    try:
        ready = [it for it in map(_ready, (delivery for due in claimed.values() for delivery in due)) if it is not None]
        outcomes = asyncio.run(_send_all(ready)) if ready else []
        for endpoint in claimed:
            both = zip(ready, outcomes, strict=True)
            _settle(endpoint, [(it, outcome) for it, outcome in both if it.delivery.endpoint_id == endpoint.pk])
    finally:
        Endpoint.objects.filter(pk__in=[endpoint.pk for endpoint in claimed]).update(leased_until=None)
    return sum(map(len, claimed.values()))


def _claim(*, failing: bool) -> dict[Endpoint, list[Delivery]]:
    """Return endpoints that nobody sends to now, each with the oldest events of its conversations that are due."""
    now = timezone.now()
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    rested = Q(paused_until=None) | Q(paused_until__lte=now)
    waiting = Delivery.objects.filter(endpoint=OuterRef("pk"), state=Delivery.State.WAITING, next_at__lte=now)
    due = Endpoint.objects.filter(free, rested, let_in("bot__user__"), Exists(waiting), off_at=None)
    due = due.filter(failures__gt=0) if failing else due.filter(failures=0)
    found: dict[Endpoint, list[Delivery]] = {}
    for endpoint in due.select_related("bot__user", "bot__owner")[:_ENDPOINTS]:
        if not Endpoint.objects.filter(free, pk=endpoint.pk).update(leased_until=now + _LEASE):
            continue
        # Whoever is tried whether it is back is tried with one.
        most = 1 if endpoint.failures >= BREAKER else _EACH
        heads = _heads(endpoint, now, most)
        if heads:
            found[endpoint] = heads
        else:
            Endpoint.objects.filter(pk=endpoint.pk).update(leased_until=None)
    return found


def _heads(endpoint: Endpoint, now: datetime, most: int) -> list[Delivery]:
    """Return of each conversation the oldest event that waits, where it is due."""
    rows = Delivery.objects.filter(endpoint=endpoint, state=Delivery.State.WAITING).order_by("at", "type")
    seen: set[int] = set()
    heads: list[Delivery] = []
    for delivery in rows[: MAX_WAITING + 1]:
        if delivery.conversation_id not in seen and delivery.next_at <= now:
            delivery.endpoint = endpoint
            heads.append(delivery)
        seen.add(delivery.conversation_id)
        if len(heads) == most:
            break
    return heads


def _ready(delivery: Delivery) -> _Ready | None:
    """Return what goes out; None where there is nothing to be sent any more, and it is noted why."""
    endpoint = delivery.endpoint
    secret = signing.opened(endpoint.secret)
    if secret is None:
        _switch_off(endpoint, "the secret cannot be read: give it a new one", "secret")
        return None
    try:
        said = _payload(delivery)
    except NotFound:
        _finish(delivery, Delivery.State.SKIPPED, "not the bot's to see any more")
        SENT.labels("skipped").inc()
        return None
    body = msgspec.json.encode(said)
    signed = signing.headers(secret, event=said["id"], timestamp=int(time.time()), body=body)
    headers = {"content-type": "application/json", "user-agent": "chat-webhooks/1", **signed}
    return _Ready(delivery, endpoint.url, body, headers)


def _payload(delivery: Delivery) -> dict[str, Any]:
    """Return what an endpoint is told, as things stand now. Raises NotFound: the bot may not see it any more."""
    bot = UserId(delivery.endpoint.bot_id)
    said: dict[str, Any] = {"id": delivery.ref, "type": delivery.type, "bot": ids.user_ref(bot)}
    if delivery.type == PING:
        return said | {"ts": int(delivery.created_at.timestamp() * 1000)}
    conversation, target = ConversationId(delivery.conversation_id), MessageId(delivery.target)
    said["ts"] = ids.timestamp_ms(MessageId(delivery.at))
    said["conv"] = ids.conversation_ref(conversation)
    said["server_id"] = ids.server_id(conversation, target)
    said["from"] = None if delivery.actor == ids.MODERATORS else ids.user_ref(delivery.actor)
    if delivery.type == "member.removed":
        return said | {"users": _users(conversation, target)}
    if delivery.type == "member.added":
        require_member(bot, conversation)
        return said | {"users": _users(conversation, target)}
    access = require_member(bot, conversation)
    if delivery.emoji:
        said["emoji"] = delivery.emoji
    if target <= access.floor:
        raise NotFound("no such message")
    if access.conversation.encrypted or not delivery.type.startswith(("message.c", "message.e", "mention")):
        return said
    return said | {"message": render.message(one_message(user_id=bot, conversation_id=conversation, message_id=target))}


def _users(conversation: ConversationId, place: MessageId) -> list[str]:
    """Return whom an event of the conversation names."""
    found = container.message_store().get([(conversation, place)]).get((conversation, place))
    users: list[str] = msgspec.json.decode(found.body).get("users", []) if found is not None and found.body else []
    return users


Outcome = Answer | Refused | Failed


def _tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings.WEBHOOK_CA_FILE or None)


async def _send_all(ready: Sequence[_Ready]) -> list[Outcome]:
    async with Outbound(hosts=settings.WEBHOOK_HOSTS, tls=_tls()) as out:

        async def one(it: _Ready) -> Outcome:
            try:
                return await out.post(it.url, it.body, it.headers, timeout_s=TIMEOUT_S)
            except (Refused, Failed) as error:
                return error

        return await asyncio.gather(*map(one, ready))


# --- what came of it ------------------------------------------------------------------------------


def _settle(endpoint: Endpoint, outcomes: Sequence[tuple[_Ready, Outcome]]) -> None:
    """Note what came of the events of one endpoint, and what that says of it."""
    now = timezone.now()
    asked_s = 0.0
    failed = succeeded = False
    for it, outcome in outcomes:
        delivery = it.delivery
        if isinstance(outcome, Answer) and 200 <= outcome.status < 300:
            succeeded = True
            _finish(delivery, Delivery.State.SENT, "")
            SENT.labels("delivered").inc()
            DELAY.observe(max(0.0, time.time() - _began_s(delivery)))
            continue
        if isinstance(outcome, Answer) and outcome.status == 410:
            _switch_off(endpoint, "it answered 410: it wants no more", "gone")
            SENT.labels("gone").inc()
            return
        failed = True
        reason = f"answered {outcome.status}" if isinstance(outcome, Answer) else str(outcome)
        wanted_s = min(outcome.retry_after_s or 0.0, _MAX_ASKED_S) if isinstance(outcome, Answer) else 0.0
        asked_s = max(asked_s, wanted_s)
        _fail(delivery, reason[:160], wanted_s, now)
        endpoint.last_error = reason[:160]
    _note(endpoint, failed=failed, succeeded=succeeded, asked_s=asked_s, now=now)


def _began_s(delivery: Delivery) -> float:
    return delivery.created_at.timestamp() if delivery.type == PING else ids.timestamp_ms(MessageId(delivery.at)) / 1000


def _fail(delivery: Delivery, reason: str, wanted_s: float, now: datetime) -> None:
    delivery.attempts += 1
    longest = min(_FIRST_WAIT_S * 2.0 ** min(delivery.attempts - 1, 20), _LONGEST_WAIT_S)
    wait = timedelta(seconds=max(wanted_s, random.uniform(longest / 2, longest)))  # noqa: S311  # spreads, hides nothing
    SENT.labels("failed").inc()
    if now + wait > delivery.created_at + GIVE_UP:
        _finish(delivery, Delivery.State.DEAD, reason)
        SENT.labels("given_up").inc()
        return
    # Not saved: its endpoint may have been removed while it was asked.
    Delivery.objects.filter(pk=delivery.pk).update(attempts=delivery.attempts, next_at=now + wait, last_error=reason)


def _finish(delivery: Delivery, state: Delivery.State, reason: str) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(
        state=state, last_error=reason, attempts=delivery.attempts, done_at=timezone.now()
    )


def _note(endpoint: Endpoint, *, failed: bool, succeeded: bool, asked_s: float, now: datetime) -> None:
    """Keep what a round says of an endpoint: that it is there, or that it fails, and since when."""
    if not failed and not succeeded:
        return
    if succeeded:
        endpoint.last_success_at = now
    if succeeded and not failed:
        endpoint.failures, endpoint.failing_since, endpoint.paused_until = 0, None, None
    elif failed and not succeeded:
        endpoint.failures += 1
        endpoint.failing_since = endpoint.failing_since or now
        if endpoint.failures >= BREAKER:
            pause_s = min(_FIRST_PAUSE_S * 2.0 ** min(endpoint.failures - BREAKER, 10), _LONGEST_PAUSE_S)
            endpoint.paused_until = now + timedelta(seconds=pause_s)
    if asked_s:
        asked = now + timedelta(seconds=asked_s)
        endpoint.paused_until = max(asked, endpoint.paused_until or asked)
    told = ("failures", "failing_since", "paused_until", "last_error", "last_success_at")
    Endpoint.objects.filter(pk=endpoint.pk).update(**{name: getattr(endpoint, name) for name in told})
    if endpoint.failing_since is not None and now - endpoint.failing_since > GIVE_UP:
        _switch_off(endpoint, f"it failed for a day: {endpoint.last_error}"[:120], "failed")


def _switch_off(endpoint: Endpoint, why: str, reason: str) -> None:
    """Send nothing there any more, and tell the owner."""
    now = timezone.now()
    if not Endpoint.objects.filter(pk=endpoint.pk, off_at=None).update(off_at=now, off_reason=why):
        return
    endpoint.off_at, endpoint.off_reason = now, why
    Delivery.objects.filter(endpoint=endpoint, state=Delivery.State.WAITING).update(
        state=Delivery.State.DEAD, last_error="the endpoint was switched off", done_at=now
    )
    SWITCHED_OFF.labels(reason).inc()
    logger.warning("an endpoint of %s was switched off (%s)", ids.user_ref(endpoint.bot_id), reason)
    owner: User | None = endpoint.bot.owner
    if owner is not None:
        bot = f"@{endpoint.bot.user.username}"
        mail_notice(user=owner, subject=_SUBJECT, text=_TEXT, bot=bot, address=endpoint.url, why=why)


# --- upkeep ---------------------------------------------------------------------------------------


def measure() -> None:
    """Set the gauges."""
    waiting = Delivery.objects.filter(state=Delivery.State.WAITING)
    oldest = waiting.aggregate(oldest=Min("created_at"))["oldest"]
    now = timezone.now()
    WAITING.set(waiting.count())
    OLDEST.set(0.0 if oldest is None else (now - oldest).total_seconds())
    PAUSED.set(Endpoint.objects.filter(off_at=None, paused_until__gt=now).count())


def next_due_s() -> float | None:
    """Return in how many seconds the next event is to be tried; None where none waits."""
    rows = Delivery.objects.filter(state=Delivery.State.WAITING, endpoint__off_at=None)
    first = rows.aggregate(first=Min("next_at"))["first"]
    return None if first is None else float(max(0.0, (first - timezone.now()).total_seconds()))


def delete_old() -> int:
    """Delete what became of events more than a week ago, and endpoints of bots that are no more; return how many."""
    Endpoint.objects.exclude(bot__user__closed_at=None).delete()
    return Delivery.objects.filter(done_at__lt=timezone.now() - _KEEP).delete()[0]
