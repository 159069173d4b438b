"""Legal hold: what may not be deleted, whoever wants it gone (design section 9; docs/decisions/0043).

Every path that deletes for good what people wrote does it inside ``deleting``, and spares what that says. Nobody else
decides what is held. What members do does not come here: their edits and deletions leave the texts in the store.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone
from prometheus_client import Gauge

from chatproject import container
from messaging.compliance.audit import Action, record
from messaging.compliance.locks import DELETING, hold_lock
from messaging.compliance.models import Hold
from messaging.domain.errors import Conflict, Forbidden, InvalidInput
from messaging.domain.ids import MAX_ID, ConversationId, MessageId, UserId, conversation_ref, first_id_at, user_ref

HOLDS = Gauge("chat_holds", "Legal holds that are not released.")
RELEASE_AGE = Gauge(
    "chat_holds_release_age_seconds", "Since when the oldest release of a hold is asked for and nobody has answered."
)


@dataclass(frozen=True, slots=True)
class Held:
    """What of one conversation is held: ranges of ids, both ends included, in order and apart from each other."""

    ranges: tuple[tuple[MessageId, MessageId], ...] = ()

    def covers(self, message_id: MessageId) -> bool:
        """Return whether a message or change is held."""
        return any(first <= message_id <= last for first, last in self.ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)


@dataclass(frozen=True, slots=True)
class NewHold:
    """A hold to place. At most one of ``user`` and ``conversation``; with neither, both times."""

    case: str
    reason: str
    user: UserId | None = None
    conversation: ConversationId | None = None
    begins_at: datetime | None = None
    ends_at: datetime | None = None


# --- what is held ---------------------------------------------------------------------------------


def held(
    conversations: Collection[ConversationId] = (), users: Collection[UserId] = ()
) -> tuple[dict[ConversationId, Held], set[UserId]]:
    """Return what of these conversations is held, and which of these users are.

    The one place that decides it. A message is held where its id is in a range of its conversation; a user where a
    hold names the user, or everything: the account and what belongs to it, not every word of it (those are in their
    conversations). Only for showing; who deletes asks ``deleting``.
    """
    ranges: dict[ConversationId, list[tuple[MessageId, MessageId]]] = {id_: [] for id_ in conversations}
    held_users: set[UserId] = set()
    for hold in Hold.objects.filter(released_at=None):
        span = _span(hold)
        if hold.conversation_id is not None:
            named = {ConversationId(hold.conversation_id)}
        elif hold.user_id is not None:
            named = _ever_in(UserId(hold.user_id), conversations)
            held_users |= {UserId(hold.user_id)}
        else:
            named = set(conversations)
            held_users |= set(users)
        for id_ in named.intersection(ranges):
            ranges[id_].append(span)
    return {id_: Held(_merged(spans)) for id_, spans in ranges.items()}, held_users.intersection(users)


@contextmanager
def deleting(
    conversations: Collection[ConversationId] = (), users: Collection[UserId] = ()
) -> Iterator[tuple[Mapping[ConversationId, Held], Collection[UserId]]]:
    """Open the step in which something is deleted, and give what ``held`` says for it; nothing is held beyond that.

    No hold is placed before the step ends: it is short. A hold that was placed before is in the answer. The step is a
    transaction of the relational database, which is also what it does on Cassandra waits for.
    """
    with transaction.atomic():
        hold_lock(DELETING, shared=True)
        yield held(conversations, users)


def _span(hold: Hold) -> tuple[MessageId, MessageId]:
    first = MessageId(0) if hold.begins_at is None else first_id_at(_ms(hold.begins_at))
    # To the last id of that millisecond.
    last = MessageId(MAX_ID) if hold.ends_at is None else MessageId(first_id_at(_ms(hold.ends_at) + 1) - 1)
    return first, last


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _ever_in(user: UserId, conversations: Collection[ConversationId]) -> set[ConversationId]:
    """Return the conversations in which a user is or was: as a whole, since an earlier membership leaves no times."""
    return set(container.conversation_store().memberships(user, list(conversations)))


def _merged(spans: Sequence[tuple[MessageId, MessageId]]) -> tuple[tuple[MessageId, MessageId], ...]:
    merged: list[tuple[MessageId, MessageId]] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


# --- placing and releasing ------------------------------------------------------------------------


def place_hold(*, actor: UserId, new: NewHold) -> Hold:
    """Hold it from now on: when this returns, nothing of it is deleted any more. Members do not learn of it.

    Raises:
        InvalidInput: no case or reason, nothing or two things named, or a time that ends before it begins.
    """
    if not new.case.strip():
        raise InvalidInput("a hold needs a case reference")
    if new.user is not None and new.conversation is not None:
        raise InvalidInput("a hold names a user or a conversation; place two")
    if new.user is None and new.conversation is None and None in (new.begins_at, new.ends_at):
        raise InvalidInput("a hold on everything needs both ends of its time")
    if new.begins_at is not None and new.ends_at is not None and new.ends_at < new.begins_at:
        raise InvalidInput("the time ends before it begins")
    with transaction.atomic():
        hold_lock(DELETING)
        hold = Hold.objects.create(
            case=new.case.strip(),
            reason=new.reason.strip(),
            user_id=new.user,
            conversation_id=new.conversation,
            begins_at=new.begins_at,
            ends_at=new.ends_at,
            placed_by=actor,
        )
        _record(Action.HOLD_PLACED, hold, actor, new.reason)
    return hold


def request_release(*, actor: UserId, hold_id: int, reason: str) -> None:
    """Ask that a hold end; somebody else has to agree (``approve_release``).

    Raises:
        Conflict: it is released, or somebody has asked before. InvalidInput: no reason.
    """
    with transaction.atomic():
        hold = _active(hold_id)
        if hold.release_requested_by is not None:
            raise Conflict("somebody has asked for the release of this hold")
        hold.release_requested_by, hold.release_requested_at = actor, timezone.now()
        hold.save(update_fields=["release_requested_by", "release_requested_at"])
        _record(Action.HOLD_RELEASE_REQUESTED, hold, actor, reason)


def refuse_release(*, actor: UserId, hold_id: int, reason: str) -> None:
    """Let the hold stand; also who asked may take it back. Raises as ``request_release``."""
    with transaction.atomic():
        hold = _asked(hold_id)
        hold.release_requested_by = hold.release_requested_at = None
        hold.save(update_fields=["release_requested_by", "release_requested_at"])
        _record(Action.HOLD_RELEASE_REFUSED, hold, actor, reason)


def approve_release(*, actor: UserId, hold_id: int, reason: str) -> None:
    """End a hold whose release somebody else has asked for; what is due goes with the next sweep.

    Raises:
        Forbidden: the actor asked for it. Conflict: nobody asked, or it is released. InvalidInput: no reason.
    """
    with transaction.atomic():
        hold = _asked(hold_id)
        if hold.release_requested_by == actor:
            raise Forbidden("somebody else has to agree to the release")
        hold.released_by, hold.released_at = actor, timezone.now()
        hold.save(update_fields=["released_by", "released_at"])
        _record(Action.HOLD_RELEASED, hold, actor, reason)


def measure() -> None:
    """Set how many holds there are, and how long somebody has waited for the second person of a release."""
    running = Hold.objects.filter(released_at=None)
    HOLDS.set(running.count())
    asked = running.exclude(release_requested_at=None).order_by("release_requested_at").first()
    since = None if asked is None else asked.release_requested_at
    RELEASE_AGE.set(0 if since is None else (timezone.now() - since).total_seconds())


def _active(hold_id: int) -> Hold:
    hold = Hold.objects.select_for_update().filter(pk=hold_id, released_at=None).first()
    if hold is None:
        raise Conflict("there is no such hold, or it is released")
    return hold


def _asked(hold_id: int) -> Hold:
    hold = _active(hold_id)
    if hold.release_requested_by is None:
        raise Conflict("nobody has asked for the release of this hold")
    return hold


def _record(action: Action, hold: Hold, actor: UserId, reason: str) -> None:
    details = {
        "user": None if hold.user_id is None else user_ref(hold.user_id),
        "conversation": None if hold.conversation_id is None else conversation_ref(hold.conversation_id),
        "begins_at": None if hold.begins_at is None else hold.begins_at.isoformat(),
        "ends_at": None if hold.ends_at is None else hold.ends_at.isoformat(),
    }
    record(action, actor=actor, object=f"hold/{hold.pk}", reason=reason, case=hold.case, details=details)
