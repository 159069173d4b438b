"""Changes of one conversation, one after another, and their way into ``membership`` (docs/decisions/0017).

A change is one conditional write to the conversation's partition: ``IF version = …``. In the same write it notes in
``pending`` whose rows in ``membership`` are to follow. ``settle`` writes these and takes the note away. Who dies in
between leaves the note, and the next change or reader settles it: all of it may be done twice, and by two at once,
since the rows are written with the change's ``version`` as their time.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from cassandra.query import UNSET_VALUE

from messaging.adapters.cassandra.layout import ACTIVE_DAY, day_at, day_of, day_written_us
from messaging.adapters.cassandra.session import CassandraSession, Work
from messaging.domain.errors import NotFound
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.messages import ConversationType, Role
from messaging.ports import NewConversation, StoreUnavailable

_STATE: Final = (
    "SELECT type, name, members_count, last_message_id, version, change, pending FROM {ks}.conversations"
    " WHERE conversation_id = ? LIMIT 1"
)
_CREATE: Final = (
    "UPDATE {ks}.conversations SET type = ?, created_at = ?, created_by = ?, name = ?, members_count = ?, hot_k = 1,"
    " encrypted = ?, version = ?, change = ?, pending = ? WHERE conversation_id = ? IF version = null"
)
_CHANGE: Final = (
    "UPDATE {ks}.conversations SET type = ?, name = ?, members_count = ?, version = ?, change = ?, pending = ?"
    " WHERE conversation_id = ? IF version = ?"
)
_JOIN: Final = (
    "INSERT INTO {ks}.conversations (conversation_id, user_id, role, joined_id, joined_at, last_read_id)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_LEAVE: Final = "DELETE FROM {ks}.conversations WHERE conversation_id = ? AND user_id = ?"
_SET_ROLE: Final = "UPDATE {ks}.conversations SET role = ? WHERE conversation_id = ? AND user_id = ?"
_ACTIVE: Final = (
    "SELECT user_id, role, joined_id, joined_at FROM {ks}.conversations WHERE conversation_id = ? AND user_id IN ?"
)
_ALL_ACTIVE: Final = "SELECT user_id, role, joined_id, joined_at FROM {ks}.conversations WHERE conversation_id = ?"
_SET_HOT: Final = "UPDATE {ks}.conversations SET hot_k = ? WHERE conversation_id = ?"
_SETTLED: Final = "UPDATE {ks}.conversations SET pending = ? WHERE conversation_id = ? IF version = ?"

_IS_ACTIVE: Final = (
    "UPDATE {ks}.membership USING TIMESTAMP ? SET role = ?, joined_id = ?, joined_at = ?, left_id = 0"
    " WHERE user_id = ? AND conversation_id = ?"
)
_HAS_LEFT: Final = (
    "UPDATE {ks}.membership USING TIMESTAMP ? SET left_id = ?, muted_until = ?, archived_id = 0, is_pinned = false,"
    " unread_id = 0 WHERE user_id = ? AND conversation_id = ?"
)

#: For ``muted_until``: not muted. A null would be a tombstone.
NOT_MUTED: Final = datetime.fromtimestamp(0, UTC)
#: Tries of one change while others change the same conversation, and the longest wait between two (s).
_TRIES: Final = 30
_LONGEST_WAIT_S: Final = 0.1
#: From here on all members are read, instead of those asked for.
_ALL_FROM: Final = 200


@dataclass(frozen=True, slots=True)
class Place:
    """An active member, as the conversation has it."""

    role: Role
    joined_id: MessageId
    joined_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a conversation. ``pending``: whose membership changed: 0, or the ``left_id`` where it ended."""

    type: ConversationType
    name: str
    members_count: int
    rows: Sequence[Work] = ()
    pending: Mapping[UserId, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """A conversation as the last change left it. ``pending``: as in ``Change``, where it is not settled yet."""

    type: ConversationType
    name: str
    members_count: int
    last_message_id: MessageId | None
    version: int
    change: UUID
    pending: Mapping[UserId, int]

    def but(self, **fields: Any) -> Change:
        """Return the change that gives ``Change`` these fields and leaves the others as they are."""
        return Change(**{"type": self.type, "name": self.name, "members_count": self.members_count, **fields})


def joining(
    conversation_id: ConversationId, user: UserId, role: Role, *, joined_id: int, at: datetime, last_read_id: int = 0
) -> Work:
    """Return the row of a member to be."""
    return (_JOIN, (conversation_id, user, role.value, joined_id, at, last_read_id or UNSET_VALUE))


def leaving(conversation_id: ConversationId, user: UserId) -> Work:
    """Return what removes a member."""
    return (_LEAVE, (conversation_id, user))


def with_role(conversation_id: ConversationId, user: UserId, role: Role) -> Work:
    """Return what gives a member a role."""
    return (_SET_ROLE, (role.value, conversation_id, user))


def hot(conversation_id: ConversationId, k: int) -> Work:
    """Return what spreads the conversation over ``k`` sub-partitions."""
    return (_SET_HOT, (k, conversation_id))


def now_ms() -> datetime:
    """Return the time as a column of type ``timestamp`` keeps it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class Changes:
    """Makes changes to conversations. Called from threads, which share the session."""

    def __init__(self, session: CassandraSession) -> None:
        self._session = session

    def create(self, new: NewConversation, at: datetime) -> bool:
        """Create a conversation; return whether it was this call that did. Its members have it on return."""
        owner = None if new.type is ConversationType.DM else new.created_by
        pending = dict.fromkeys(new.members, 0)
        state = State(new.type, new.name, len(new.members), None, _now_us(), uuid4(), pending)
        statics = (
            *(state.type.value, at, new.created_by, state.name, state.members_count),
            *(new.encrypted, state.version, state.change, pending, new.id),
        )
        roles = ((user, Role.OWNER if user == owner else Role.MEMBER) for user in new.members)
        rows = [joining(new.id, user, role, joined_id=0, at=at) for user, role in roles]
        if not self._decide(new.id, state.change, [(_CREATE, statics), *rows]):
            return False
        self.settle(new.id, state)
        return True

    def apply(self, conversation_id: ConversationId, plan: Callable[[State], Change | None]) -> bool:
        """Make the change that ``plan`` returns for the state it is given; return whether there was one.

        ``plan`` is asked again where somebody else was quicker. What earlier changes left undone is done first.

        Raises:
            NotFound: there is no such conversation.
            StoreUnavailable: also where too many change it at once; whether the change was made is not known.
        """
        for attempt in range(_TRIES):
            state = self.state(conversation_id)
            if state is None:
                raise NotFound("no such conversation")
            self.settle(conversation_id, state)
            planned = plan(state)
            if planned is None:
                return False
            pending = dict(planned.pending)
            version, change = max(_now_us(), state.version + 1), uuid4()
            header = (
                *(planned.type.value, planned.name, planned.members_count),
                *(version, change, pending, conversation_id, state.version),
            )
            if self._decide(conversation_id, change, [(_CHANGE, header), *planned.rows]):
                self.settle(conversation_id, replace(state, version=version, pending=pending))
                return True
            # Jitter, so that those who collided do not collide again.
            time.sleep(random.uniform(0, min(_LONGEST_WAIT_S, 0.005 * 2**attempt)))  # noqa: S311
        raise StoreUnavailable("too many change this conversation at once")

    def _decide(self, conversation_id: ConversationId, change: UUID, work: Sequence[Work]) -> bool:
        """Return whether the conditional write was made; where that is not known, look."""
        try:
            return self._session.decide(work)
        except StoreUnavailable:
            state = self.state(conversation_id)
            return state is not None and state.change == change

    def state(self, conversation_id: ConversationId) -> State | None:
        """Return a conversation as the last change left it; None where there is none."""
        rows = self._session.linear(_STATE, (conversation_id,))
        if not rows or rows[0][0] is None:
            return None
        kind, name, count, last, version, change, pending = rows[0]
        return State(ConversationType(kind), name, count, last, version, change, dict(pending or {}))

    def places(self, conversation_id: ConversationId, users: Sequence[UserId]) -> dict[UserId, Place]:
        """Return the active ones of ``users``."""
        if not users:
            return {}
        if len(users) < _ALL_FROM:
            rows = self._session.rows(_ACTIVE, (conversation_id, list(users)))
        else:
            rows = self._session.rows(_ALL_ACTIVE, (conversation_id,))
        wanted = set(users)
        return {
            user: Place(Role(role), joined_id, joined_at)
            for user, role, joined_id, joined_at in rows
            if role is not None and user in wanted
        }

    def settle(self, conversation_id: ConversationId, state: State) -> None:
        """Write the rows of ``membership`` that follow from a change, then take its note away; idempotent."""
        if not state.pending:
            return
        active = self.places(conversation_id, [user for user, left in state.pending.items() if not left])
        # Up to tomorrow: the router may be marking today's members at this moment, without those who join now.
        day = max(day_at(time.time() * 1000), day_of(state.last_message_id or 0)) + 1
        self._session.write(
            [
                *_rows_of_active(conversation_id, state.version, day, active),
                *(
                    (_HAS_LEFT, (state.version, left, NOT_MUTED, user, conversation_id))
                    for user, left in state.pending.items()
                    if left
                ),
            ]
        )
        self._session.decide([(_SETTLED, ({}, conversation_id, state.version))])


def _rows_of_active(
    conversation_id: ConversationId, version: int, day: int, active: Mapping[UserId, Place]
) -> Iterable[Work]:
    for user, place in active.items():
        yield (
            _IS_ACTIVE,
            (version, place.role.value, place.joined_id, place.joined_at, user, conversation_id),
        )
        yield (ACTIVE_DAY, (day_written_us(day), day, user, conversation_id))


def _now_us() -> int:
    return time.time_ns() // 1000
