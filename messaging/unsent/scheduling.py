"""Messages that the server sends later, with all of their author's devices off (docs/decisions/0074).

The message's own id in the log's dedupe is fixed when it is scheduled. So it may be sent as often as crashes want: the
first time counts. Whether it may be said is asked when it is scheduled, for an answer at once, and again when it is
sent, which is what counts.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from prometheus_client import Counter, Histogram

from accounts.services.suspension import refuse_absent
from chatproject import container
from messaging.domain import ids
from messaging.domain.errors import ChatError, Conflict, InvalidInput, NotFound, Unavailable
from messaging.domain.ids import ConversationId, ScheduledId, UserId
from messaging.domain.messages import DedupeKey
from messaging.jobs import queued
from messaging.media.services import attach, release
from messaging.selectors.access import may_send, require_member
from messaging.services.changes import may_mention
from messaging.services.hints import hint
from messaging.services.post import post_message
from messaging.services.send import Outgoing, Sent, validate_send
from messaging.unsent.models import ScheduledMessage

logger = logging.getLogger(__name__)

SENT = Counter("chat_scheduled_total", "Messages that were due later, by what became of them.", ["result"])
LATE = Histogram(
    "chat_scheduled_late_seconds",
    "From the time for which a message was scheduled to its being in the log.",
    buckets=(1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 86_400),
)

_State = ScheduledMessage.State
#: Messages that one job looks at, and the seconds after which it leaves the rest to the next.
_MOST: Final = 200
_BUDGET_S: Final = 20.0
#: Who took a message and does not finish it within this has died, or does not know whether the log has it.
_LEASE: Final = timedelta(seconds=30)
#: Clocks of phones are a little off: what is due by so much already is sent at once.
_SLACK: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be sent, and when (aware). ``msg_id``: a UUID of the client's, as of any message."""

    conversation_id: ConversationId
    msg_id: str
    body: str
    media: Sequence[str]
    reply_to: str | None
    mentions: Sequence[str]
    send_at: datetime


def schedule(user: UserId, plan: Plan) -> tuple[ScheduledMessage, bool]:
    """Keep a message to be sent later, and return it with whether it is new. Idempotent by ``msg_id``.

    Raises:
        NotFound: the user is no member, or may not use the media. Blocked, Forbidden: as when it is sent.
        Conflict: the conversation is encrypted; there are ``max_scheduled`` already; or it was sent before.
        InvalidInput, TooLarge: see ``validate_send``; or the time is past, or over ``max_schedule_ahead_s`` away.
    """
    if require_member(user, plan.conversation_id).conversation.encrypted:
        raise Conflict("what is written in an encrypted conversation is not kept here")
    may_send(user, plan.conversation_id)
    message = _valid(user, plan)
    _check_time(plan.send_at)
    may_mention(message)
    key = _key_of(message)
    found = _rows_of(key).first()
    if found is not None:
        return found, False
    if key in container.message_store().find_placed([key]):
        raise Conflict("this message was sent already")
    most = container.limits().max_scheduled
    if ScheduledMessage.objects.filter(user_id=user).count() >= most:
        raise Conflict(f"{most} messages wait to be sent; that is the limit")
    try:
        with transaction.atomic():
            if message.media:
                attach(message, None)
            row = ScheduledMessage.objects.create(
                user_id=user,
                conversation_id=plan.conversation_id,
                client_msg_id=message.client_msg_id,
                body=plan.body,
                media=message.media,
                mentions=list(plan.mentions),
                reply_to=plan.reply_to,
                send_at=plan.send_at,
            )
    except IntegrityError:
        # The same request a second time, at the same moment.
        return _rows_of(key).get(), False
    hint([user], plan.conversation_id, "scheduled")
    return row, True


def reschedule(
    user: UserId,
    scheduled: ScheduledId,
    *,
    body: str | None = None,
    mentions: Sequence[str] | None = None,
    send_at: datetime | None = None,
) -> ScheduledMessage:
    """Change the text or the time of a message that is not sent; one that could not be sent waits again.

    Raises:
        NotFound: there is none, or it is another's, or sent. Conflict: it is being sent.
        InvalidInput, TooLarge, Forbidden: as ``schedule``.
    """
    with transaction.atomic():
        row = _own(user, scheduled, lock=True)
        row.body = row.body if body is None else body
        row.mentions = row.mentions if mentions is None else list(mentions)
        row.send_at = row.send_at if send_at is None else send_at
        may_mention(_valid(user, plan_of(row)))
        # What could not be sent is sent at another time, or by ``send_now``; its text alone may be mended first.
        if send_at is not None:
            _check_time(send_at)
            row.state, row.code, row.detail = _State.WAITING, "", ""
        row.save()
    hint([user], ConversationId(row.conversation_id), "scheduled")
    return row


def withdraw(user: UserId, scheduled: ScheduledId) -> None:
    """Delete a message that is not sent, and the files that only it refers to.

    Raises:
        NotFound: there is none, or it is another's, or sent. Conflict: it is being sent.
    """
    with transaction.atomic():
        row = _own(user, scheduled, lock=True)
        row.delete()
        release([_key(row)])
    hint([user], ConversationId(row.conversation_id), "scheduled")


def send_now(user: UserId, scheduled: ScheduledId) -> Sent:
    """Send a message before its time, or one that could not be sent, and return where it stands in the log.

    Raises:
        ChatError: as ``post_message``; the message stays, with the reason.
        NotFound: there is none, or it is another's, or sent. Conflict: it is being sent.
    """
    row = _own(user, scheduled)
    if not _take(row, Q(state__in=[_State.WAITING, _State.FAILED])):
        raise Conflict("it is being sent")
    return _send(row)


def send_due() -> int:
    """Send what is due, the oldest first; return how many were. A part of it, where that takes long.

    Raises:
        Unavailable: the log does not answer; what is due stays so.
    """
    from messaging.unsent.tasks import tell_failed

    began, sent = time.monotonic(), 0
    for row in ScheduledMessage.objects.filter(_due()).order_by("send_at", "pk")[:_MOST]:
        if time.monotonic() - began > _BUDGET_S:
            break
        if not _take(row, _due()):
            continue
        try:
            _send(row)
        except Unavailable:
            raise
        except ChatError:
            # Nobody is there to hear it, as with ``send_now``. Where the broker is away it is seen in the page alone.
            queued(tell_failed, row.pk)
            continue
        except Exception:
            # One that cannot be sent for a fault of ours does not hold up the others; it is tried again.
            SENT.labels("error").inc()
            logger.exception("a scheduled message could not be sent")
            continue
        sent += 1
    return sent


def hold_back(user: UserId, detail: str) -> None:
    """Send nothing of what a user has scheduled, unless they want it again; ``detail``: what they are told why."""
    waiting = ScheduledMessage.objects.filter(user_id=user, state=_State.WAITING)
    waiting.update(state=_State.FAILED, code=Conflict.code, detail=detail)


def forget_scheduled(user: UserId) -> None:
    """Delete what a user wanted sent later, with its files, for an account that is erased."""
    with transaction.atomic():
        rows = ScheduledMessage.objects.filter(user_id=user)
        release([_key(row) for row in rows])
        rows.delete()


def plan_of(row: ScheduledMessage) -> Plan:
    """Return what is to be sent of a row."""
    msg_id = str(UUID(bytes=bytes(row.client_msg_id)))
    conversation = ConversationId(row.conversation_id)
    return Plan(conversation, msg_id, row.body, row.media, row.reply_to, row.mentions, row.send_at)


def _due() -> Q:
    now = timezone.now()
    return Q(state=_State.WAITING, send_at__lte=now) | Q(state=_State.SENDING, taken_at__lt=now - _LEASE)


def _take(row: ScheduledMessage, free: Q) -> bool:
    """Take a message to send it; return whether it was free. Of several who try at once one gets it."""
    now = timezone.now()
    return ScheduledMessage.objects.filter(free, pk=row.pk).update(state=_State.SENDING, taken_at=now) == 1


def _send(row: ScheduledMessage) -> Sent:
    """Send a message that was taken. Raises ChatError; of Unavailable nobody knows whether the log has it."""
    # As it is since it was taken: it may have been changed just before that.
    row.refresh_from_db()
    user, plan = UserId(row.user_id), plan_of(row)
    try:
        sent = _placed(row) or _post(user, plan)
    except Unavailable:
        # It stays taken, and unchanged, until it is tried again.
        SENT.labels("again").inc()
        raise
    except ChatError as error:
        row.state, row.code, row.detail = _State.FAILED, error.code, error.detail[:300]
        row.save(update_fields=["state", "code", "detail"])
        SENT.labels("refused").inc()
        hint([user], plan.conversation_id, "scheduled")
        raise
    row.delete()
    SENT.labels("sent").inc()
    LATE.observe(max(0.0, sent.ts_ms / 1000 - plan.send_at.timestamp()))
    hint([user], plan.conversation_id, "scheduled")
    return sent


def _placed(row: ScheduledMessage) -> Sent | None:
    """Return where a message stands that was sent already, by somebody who died before noting that."""
    key = _key(row)
    found = container.message_store().find_placed([key]).get(key)
    if found is None:
        return None
    return Sent(found.message_id, ids.timestamp_ms(found.message_id), duplicate=True)


def _post(user: UserId, plan: Plan) -> Sent:
    refuse_absent(user)
    return post_message(
        sender=user,
        conversation_id=plan.conversation_id,
        msg_id=plan.msg_id,
        body=plan.body,
        media=list(plan.media),
        reply_to=plan.reply_to,
        mentions=plan.mentions,
    )


def _valid(user: UserId, plan: Plan) -> Outgoing:
    return validate_send(
        sender=user,
        conversation=plan.conversation_id,
        msg_id=plan.msg_id,
        body=plan.body,
        media=list(plan.media),
        reply_to=plan.reply_to,
        mentions=plan.mentions,
        limits=container.limits(),
    )


def _check_time(send_at: datetime) -> None:
    now = timezone.now()
    most = timedelta(seconds=container.limits().max_schedule_ahead_s)
    if send_at < now - _SLACK:
        raise InvalidInput("send_at is past")
    if send_at > now + most:
        raise InvalidInput(f"send_at is over {most.days} days away")


def _own(user: UserId, scheduled: ScheduledId, *, lock: bool = False) -> ScheduledMessage:
    rows = ScheduledMessage.objects.select_for_update() if lock else ScheduledMessage.objects
    row = rows.filter(pk=scheduled, user_id=user).first()
    if row is None:
        raise NotFound("no such message")
    if row.state == _State.SENDING:
        raise Conflict("it is being sent")
    return row


def _rows_of(key: DedupeKey) -> QuerySet[ScheduledMessage]:
    return ScheduledMessage.objects.filter(
        user_id=key.sender_id, conversation_id=key.conversation_id, client_msg_id=key.client_msg_id
    )


def _key_of(message: Outgoing) -> DedupeKey:
    return DedupeKey(message.conversation, message.sender, message.client_msg_id)


def _key(row: ScheduledMessage) -> DedupeKey:
    return DedupeKey(ConversationId(row.conversation_id), UserId(row.user_id), bytes(row.client_msg_id))
