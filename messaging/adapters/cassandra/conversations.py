"""Conversations and membership in Cassandra (design section 4; docs/decisions/0017-cassandra-membership.md).

``conversations`` is the truth about who is a member; ``membership`` is how a user finds their conversations, and holds
what is theirs alone. ``changes.py`` writes the first under a condition and brings the second into step.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from messaging.adapters.cassandra.changes import (
    NOT_MUTED,
    Change,
    Changes,
    State,
    hot,
    joining,
    leaving,
    now_ms,
    with_role,
)
from messaging.adapters.cassandra.layout import LAST_IDS, chains_of, day_of, written_us
from messaging.adapters.cassandra.session import CassandraSession, Row, chunks
from messaging.domain.errors import NotFound, TooManyMembers
from messaging.domain.ids import ConversationId, DeviceId, Mark, MediaId, MessageId, UserId, first_id_at
from messaging.domain.messages import Conversation, ConversationType, Membership, Role, Shelf
from messaging.ports import InboxRow, NewConversation, Standing, StoreUnavailable

logger = logging.getLogger(__name__)

_WHAT: Final = (
    "conversation_id, type, created_at, created_by, name, members_count, last_message_id, hot_k, version, pending,"
    " last_id, expired_id, timer_s, encrypted, chain_first, chain_last, picture_id"
)
_GET: Final = (
    "SELECT " + _WHAT + ", user_id, role FROM {ks}.conversations WHERE conversation_id IN ? PER PARTITION LIMIT ?"
)
_GET_ALL: Final = "SELECT user_id, role FROM {ks}.conversations WHERE conversation_id = ?"
_PLACE: Final = "user_id, conversation_id, role, joined_id, joined_at, last_read_id, muted_until"
_ROSTERS: Final = (
    "SELECT " + _PLACE + ", members_count FROM {ks}.conversations WHERE conversation_id IN ? PER PARTITION LIMIT ?"
)
_ROSTER: Final = "SELECT " + _PLACE + " FROM {ks}.conversations WHERE conversation_id = ?"
_MEMBERS: Final = "SELECT " + _PLACE + " FROM {ks}.conversations WHERE conversation_id = ? AND user_id > ? LIMIT ?"
_OWN_PLACE: Final = _PLACE + ", left_id, archived_id, is_pinned, unread_id"
_MEMBERSHIP: Final = "SELECT " + _OWN_PLACE + " FROM {ks}.membership WHERE user_id = ? AND conversation_id = ?"
_MEMBERSHIPS: Final = "SELECT " + _OWN_PLACE + " FROM {ks}.membership WHERE user_id = ? AND conversation_id IN ?"
_PLACES: Final = "SELECT " + _OWN_PLACE + " FROM {ks}.membership WHERE user_id = ? AND conversation_id > ? LIMIT ?"
_CONVERSATIONS_OF: Final = "SELECT conversation_id, role, left_id, active_day FROM {ks}.membership WHERE user_id = ?"
_PINNED_OF: Final = "SELECT conversation_id, is_pinned FROM {ks}.membership WHERE user_id = ?"
_STANDING: Final = (
    "SELECT DISTINCT conversation_id, created_at, last_message_id FROM {ks}.conversations WHERE conversation_id IN ?"
)
_FORMER: Final = "SELECT user_id, left_id, last_read_id FROM {ks}.membership WHERE user_id IN ? AND conversation_id = ?"

_SCAN: Final = (
    "SELECT DISTINCT token(conversation_id), " + _WHAT + " FROM {ks}.conversations"
    " WHERE token(conversation_id) > ? LIMIT ?"
)
#: Below every position of ``scan``: no partition has this token.
_BEFORE_ALL: Final = -(2**63)
#: With the time of the id, so that it moves forward only.
_EXPIRE: Final = "UPDATE {ks}.conversations USING TIMESTAMP ? SET expired_id = ? WHERE conversation_id = ?"
#: 0 for none: a null would be a tombstone.
_SET_PICTURE: Final = "UPDATE {ks}.conversations USING TIMESTAMP ? SET picture_id = ? WHERE conversation_id = ?"
_SET_TIMER: Final = "UPDATE {ks}.conversations USING TIMESTAMP ? SET timer_s = ? WHERE conversation_id = ?"

_PAIR: Final = "SELECT conversation_id FROM {ks}.dm_pairs WHERE low = ? AND high = ?"
_NEW_PAIR: Final = "INSERT INTO {ks}.dm_pairs (low, high, conversation_id) VALUES (?, ?, ?) IF NOT EXISTS"

_READ: Final = (
    "UPDATE {ks}.membership USING TIMESTAMP ? SET last_read_id = ? WHERE user_id = ? AND conversation_id = ?",
    "UPDATE {ks}.conversations USING TIMESTAMP ? SET last_read_id = ? WHERE user_id = ? AND conversation_id = ?",
)
_KEEP_MARK: Final = (
    "INSERT INTO {ks}.device_marks (user_id, device_id, conversation_id, mark) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
)
#: As that, of a chain beside the first.
_KEEP_CHAIN: Final = (
    "UPDATE {ks}.device_marks USING TIMESTAMP ? SET chains[?] = ?"
    " WHERE user_id = ? AND device_id = ? AND conversation_id = ?"
)
_KEPT_MARKS: Final = "SELECT conversation_id, mark, chains FROM {ks}.device_marks WHERE user_id = ? AND device_id = ?"
#: One partition has all: there are few.
_SHARD: Final = 0
_LIST_HOT: Final = "INSERT INTO {ks}.hot_conversations (shard, conversation_id, hot_k) VALUES (?, ?, ?)"
_UNLIST_HOT: Final = "DELETE FROM {ks}.hot_conversations WHERE shard = ? AND conversation_id = ?"
_HOT: Final = "SELECT conversation_id, hot_k FROM {ks}.hot_conversations WHERE shard = ?"
_MUTE: Final = (
    "UPDATE {ks}.membership USING TIMESTAMP ? SET muted_until = ? WHERE user_id = ? AND conversation_id = ?",
    "UPDATE {ks}.conversations USING TIMESTAMP ? SET muted_until = ? WHERE user_id = ? AND conversation_id = ?",
)
_SHELVE: Final = "UPDATE {{ks}}.membership USING TIMESTAMP ? SET {} = ? WHERE user_id = ? AND conversation_id = ?"

#: A change that is this old (s) and not in ``membership`` yet is completed by whoever sees it.
_ABANDONED_S: Final = 5.0
#: Conversation ids in one IN within a user's partition, and conversations whose activity is looked up at once.
_STEP: Final = 100


def _aware(moment: datetime) -> datetime:
    """Return a column of type ``timestamp``, which the driver gives without its zone."""
    return moment.replace(tzinfo=UTC)


def _message_id(number: int | None) -> MessageId | None:
    return None if number is None else MessageId(number)


def _membership(row: Row) -> Membership | None:
    """Return a row of ``conversations`` or, with what is the member's own at its end, of ``membership``."""
    user, conversation, role, joined_id, joined_at, last_read_id, muted_until = row[:7]
    if role is None:
        # A read mark that came after the member had gone: no member, and never one where there is no role at all.
        return None
    left_id, archived_id, pinned, unread_id = row[7:] if len(row) > 7 else (None, None, None, None)
    return Membership(
        user_id=UserId(user),
        conversation_id=ConversationId(conversation),
        role=Role(role),
        joined_id=MessageId(joined_id),
        joined_at=_aware(joined_at),
        left_id=MessageId(left_id) if left_id else None,
        last_read_id=MessageId(last_read_id or 0),
        muted_until=None if muted_until is None or _aware(muted_until) == NOT_MUTED else _aware(muted_until),
        shelf=Shelf(MessageId(archived_id or 0), bool(pinned), MessageId(unread_id or 0)),
    )


def _conversation(row: Row, members: frozenset[UserId] | None) -> Conversation:
    """Return a row of ``_WHAT``."""
    id_, kind, created_at, created_by, name, count, last_message_id, hot_k = row[:8]
    last_id, expired_id, timer_s, encrypted, first, last, picture = row[10:17]
    return Conversation(
        id=ConversationId(id_),
        type=ConversationType(kind),
        created_at=_aware(created_at),
        name=name,
        members_count=count,
        members=members,
        last_message_id=_message_id(last_message_id),
        created_by=None if created_by is None else UserId(created_by),
        hot_k=hot_k,
        chains=chains_of(last_message_id, last_id, first, last),
        version=row[8],
        expired_id=MessageId(expired_id or 0),
        timer_s=timer_s or None,
        encrypted=bool(encrypted),
        picture=MediaId(picture) if picture else None,
    )


def _present(rows: Iterable[Row]) -> list[Membership]:
    return [place for row in rows if (place := _membership(row)) is not None]


class CassandraConversationStore:
    """``ConversationStore`` on Cassandra. Called from threads, which share the session."""

    def __init__(self, session: CassandraSession, *, max_inline: int) -> None:
        """``max_inline``: up to how many members ``get`` and ``rosters`` return them all."""
        self._session = session
        self._changes = Changes(session)
        self._max_inline = max_inline

    # --- conversations ------------------------------------------------------------------------

    def create(self, new: NewConversation) -> tuple[Conversation, bool]:
        """Create it, or return the DM that the pair has already."""
        members = list(dict.fromkeys(new.members))
        kind, conversation_id = new.type, new.id
        if kind is ConversationType.DM:
            conversation_id = self._pair(members, new.id)
            # Who claimed the pair may not be done, or may be no more: whoever comes creates it, one of them does.
            existing = self._complete(conversation_id) if conversation_id != new.id else None
            if existing is not None:
                return existing, False
        if kind is ConversationType.GROUP_SMALL and len(members) > self._max_inline:
            kind = ConversationType.GROUP_LARGE
        at = now_ms()
        new = replace(new, id=conversation_id, type=kind, members=tuple(members))
        if self._changes.create(new, at):
            inline = frozenset(members) if len(members) <= self._max_inline else None
            return Conversation(
                id=conversation_id,
                type=kind,
                created_at=at,
                name=new.name,
                members_count=len(members),
                members=inline,
                last_message_id=None,
                created_by=new.created_by,
                encrypted=new.encrypted,
            ), True
        existing = self._complete(conversation_id)
        if existing is None:
            raise StoreUnavailable("the conversation is neither there nor could it be created")
        return existing, False

    def _pair(self, members: Sequence[UserId], wanted: ConversationId) -> ConversationId:
        """Return the conversation of a pair: ``wanted``, where it has none yet."""
        low, high = sorted(members)
        found = self._session.rows(_PAIR, (low, high))
        if not found:
            try:
                if self._session.decide([(_NEW_PAIR, (low, high, wanted))]):
                    return wanted
            except StoreUnavailable:
                # Perhaps it was done. Looking tells, and settles it.
                logger.warning("it is not known whether a pair got its conversation; looking")
            found = self._session.linear(_PAIR, (low, high))
        if not found:
            raise StoreUnavailable("the pair's conversation could not be claimed")
        return ConversationId(found[0][0])

    def _complete(self, conversation_id: ConversationId) -> Conversation | None:
        """Return the conversation, its members' rows written."""
        state = self._changes.state(conversation_id)
        if state is None:
            return None
        self._changes.settle(conversation_id, state)
        return self.get([conversation_id]).get(conversation_id)

    def get(self, ids: Iterable[ConversationId]) -> dict[ConversationId, Conversation]:
        """Return those that exist, with ``members`` inline up to ``max_inline``."""
        found: dict[ConversationId, Row] = {}
        members: dict[ConversationId, list[tuple[int, str | None]]] = {}
        for row in self._session.many(_GET, list(set(ids)), self._max_inline + 1):
            if row[1] is not None:
                found[row[0]] = row
                members.setdefault(row[0], []).append((row[-2], row[-1]))
        return {id_: self._conversation(row, members[id_]) for id_, row in found.items()}

    def _conversation(self, row: Row, members: list[tuple[int, str | None]]) -> Conversation:
        id_, _, _, _, _, count, _, _, version, pending = row[:10]
        if pending and version / 1e6 < time.time() - _ABANDONED_S:
            self._settle_abandoned(id_)
        inline: frozenset[UserId] | None = None
        if count <= self._max_inline:
            inline = frozenset(UserId(user) for user, role in members if role is not None)
            if len(inline) < count:
                # Marks of people who have gone took the places of members.
                rows = self._session.rows(_GET_ALL, (id_,))
                inline = frozenset(UserId(user) for user, role in rows if role is not None)
        return _conversation(row, inline)

    def _settle_abandoned(self, conversation_id: ConversationId) -> None:
        try:
            state = self._changes.state(conversation_id)
            if state is not None:
                self._changes.settle(conversation_id, state)
        except StoreUnavailable:
            logger.warning("a change of a conversation could not be completed; the next reader tries again")

    def rename(self, conversation_id: ConversationId, name: str) -> None:
        """Change the name."""
        self._apply(conversation_id, lambda state: state.but(name=name))

    def set_picture(self, conversation_id: ConversationId, picture: MediaId | None) -> None:
        """Change the picture; None for none."""
        self._session.write([(_SET_PICTURE, (time.time_ns() // 1000, picture or 0, conversation_id))])

    def set_hot(self, conversation_id: ConversationId, k: int) -> bool:
        """Set ``hot_k``; return whether there is such a conversation."""
        if not self._apply(conversation_id, lambda state: state.but(rows=[hot(conversation_id, k)])):
            return False
        listed = (_LIST_HOT, (_SHARD, conversation_id, k)) if k > 1 else (_UNLIST_HOT, (_SHARD, conversation_id))
        self._session.write([listed])
        return True

    def spread(self) -> dict[ConversationId, int]:
        """Return ``hot_k`` of those conversations of which it is over 1, by a list that follows it."""
        return {ConversationId(number): k for number, k in self._session.rows(_HOT, (_SHARD,))}

    def _apply(self, conversation_id: ConversationId, plan: Callable[[State], Change | None]) -> bool:
        """Make a change, if there is such a conversation."""
        try:
            return self._changes.apply(conversation_id, plan)
        except NotFound:
            return False

    # --- membership: reading ------------------------------------------------------------------

    def membership(self, user_id: UserId, conversation_id: ConversationId) -> Membership | None:
        """Return the user's membership, also an ended one."""
        rows = self._session.rows(_MEMBERSHIP, (user_id, conversation_id))
        return _membership(rows[0]) if rows else None

    def memberships(
        self, user_id: UserId, conversation_ids: Sequence[ConversationId]
    ) -> dict[ConversationId, Standing]:
        """Return the user's memberships in these, also ended ones."""
        places = self._places_of(user_id, conversation_ids)
        marks = {id_: marks for id_, *marks in self._session.many(LAST_IDS, list(places))}
        found: dict[ConversationId, Standing] = {}
        for id_, place in places.items():
            message, row, expired_id, first, last = marks.get(id_, (None, None, None, None, None))
            found[id_] = Standing(place, chains_of(message, row, first, last), MessageId(expired_id or 0))
        return found

    def _places_of(
        self, user_id: UserId, conversation_ids: Sequence[ConversationId]
    ) -> dict[ConversationId, Membership]:
        wanted = list(dict.fromkeys(conversation_ids))
        found = self._session.each([(_MEMBERSHIPS, (user_id, list(chunk))) for chunk in chunks(wanted, _STEP)])
        return {place.conversation_id: place for rows in found for place in _present(rows)}

    def ends(self, conversation_ids: Collection[ConversationId]) -> dict[ConversationId, Mark]:
        """Return of those that exist where each chain ends."""
        rows = self._session.many(LAST_IDS, list(dict.fromkeys(conversation_ids)))
        return {
            ConversationId(id_): {sub: chain.last_id for sub, chain in chains_of(message, row, first, last).items()}
            for id_, message, row, _expired, first, last in rows
        }

    def places(self, user_id: UserId, *, after: ConversationId, limit: int) -> list[Membership]:
        """Return a page of the user's memberships, also ended ones, beginning after ``after``."""
        page: list[Membership] = []
        while (wanted := limit - len(page)) > 0:
            rows = self._session.rows(_PLACES, (user_id, after, wanted))
            page += _present(rows)
            if len(rows) < wanted:
                break
            after = ConversationId(rows[-1][1])
        return page

    def members(self, conversation_id: ConversationId, *, after: UserId = UserId(0), limit: int) -> list[Membership]:
        """Return a page of the active members in user-id order, beginning after ``after``."""
        page: list[Membership] = []
        while (wanted := limit - len(page)) > 0:
            rows = self._session.rows(_MEMBERS, (conversation_id, after, wanted))
            page += _present(rows)
            if len(rows) < wanted:
                break
            after = UserId(rows[-1][0])
        return page

    def rosters(self, conversation_ids: Sequence[ConversationId]) -> dict[ConversationId, list[Membership]]:
        """Return all active members, in user-id order, of those conversations whose members are inline."""
        found: dict[ConversationId, list[Membership]] = {}
        counts: dict[ConversationId, int] = {}
        for row in self._session.many(_ROSTERS, list(set(conversation_ids)), self._max_inline + 1):
            id_, count = ConversationId(row[1]), row[-1]
            if count and count <= self._max_inline:
                counts[id_] = count
                found.setdefault(id_, []).extend(_present([row[:-1]]))
        # As in ``_conversation``.
        crowded = [id_ for id_, count in counts.items() if len(found[id_]) < count]
        for id_, rows in zip(crowded, self._session.each([(_ROSTER, (id_,)) for id_ in crowded]), strict=True):
            found[id_] = _present(rows)
        return found

    def sharing(self, user_id: UserId, others: Sequence[UserId]) -> set[UserId]:
        """Return those of ``others`` who are active members of a conversation of which ``user_id`` is one, too."""
        mine = {id_ for id_, _ in self._active_of([user_id])[0]}
        unique = list(dict.fromkeys(others))
        theirs = self._active_of(unique if mine else [])
        return {other for other, rows in zip(unique, theirs, strict=False) if any(id_ in mine for id_, _ in rows)}

    def _active_of(self, users: Sequence[UserId]) -> list[list[tuple[ConversationId, int]]]:
        """Return, for each user, the active conversations with the last day on which they can have had a message."""
        found = self._session.each([(_CONVERSATIONS_OF, (user,)) for user in users])
        return [
            [(ConversationId(id_), day) for id_, role, left_id, day in rows if role is not None and not left_id]
            for rows in found
        ]

    def active_since(
        self, user_id: UserId, after: MessageId, *, besides: Collection[ConversationId] = (), limit: int
    ) -> list[ConversationId]:
        """Return the user's active conversations, but for ``besides``, that have something newer, newest first.

        Where ``besides`` has all that were active on the day of ``after`` or later, as with a heartbeat: one read.
        """
        active = self._active_of([user_id])[0]
        recent = [id_ for id_, day in active if day >= day_of(after) and id_ not in besides]
        last_ids = self._session.many(LAST_IDS, recent)
        newer = [(last, id_) for id_, last, *_ in last_ids if last is not None and last > after]
        return [id_ for _, id_ in sorted(newer, reverse=True)[:limit]]

    def inbox(
        self, user_id: UserId, *, before: tuple[int, int] | None = None, limit: int, pinned: bool = False
    ) -> list[InboxRow]:
        """Return the user's active conversations, newest activity first, beginning after the key ``before``.

        Reads the user's partition, and of the conversations those that may, by their day, be on the page or before.
        """
        candidates = sorted(self._active_of([user_id])[0], key=lambda one: one[1], reverse=True)
        if pinned:
            wanted = {id_ for id_, on in self._session.rows(_PINNED_OF, (user_id,)) if on}
            candidates = [one for one in candidates if one[0] in wanted]
        keys: list[tuple[int, int]] = []
        for start in range(0, len(candidates), _STEP):
            step = candidates[start : start + _STEP]
            # All that is left had its last message on this day or before.
            if len(keys) >= limit and day_of(keys[limit - 1][0]) > step[0][1]:
                break
            for id_, created_at, last in self._session.many(_STANDING, [id_ for id_, _ in step]):
                key = (last or first_id_at(int(_aware(created_at).timestamp() * 1000)), id_)
                if before is None or key < before:
                    keys.append(key)
            keys.sort(reverse=True)
        page = [ConversationId(id_) for _, id_ in keys[:limit]]
        conversations, places = self.get(page), self._places_of(user_id, page)
        return [InboxRow(conversations[id_], places[id_]) for id_ in page if id_ in conversations and id_ in places]

    # --- membership: writing ------------------------------------------------------------------

    def add_members(
        self, conversation_id: ConversationId, users: Sequence[UserId], *, role: Role, limit: int, at: MessageId
    ) -> list[UserId]:
        """Make users members from the record at ``at`` on; return those who were not members before.

        Raises:
            TooManyMembers: nothing was changed.
            NotFound: there is no such conversation.
        """
        wanted = list(dict.fromkeys(users))
        added: list[UserId] = []

        def plan(state: State) -> Change | None:
            known = self._changes.places(conversation_id, wanted)
            absent = [user for user in wanted if user not in known]
            former = {user: (left, read) for user, left, read in self._session.many(_FORMER, absent, conversation_id)}
            # Who left after the record has been added by it before.
            added[:] = [user for user in absent if (former.get(user, (None, None))[0] or 0) < at]
            count = state.members_count + len(added)
            if not added:
                return None
            if count > limit:
                raise TooManyMembers(f"the conversation would have {count} members; the limit is {limit}")
            now = now_ms()
            rows = [
                joining(
                    conversation_id,
                    user,
                    role,
                    joined_id=at - 1,
                    at=now,
                    last_read_id=former.get(user, (None, None))[1] or 0,
                )
                for user in added
            ]
            grown = state.type is ConversationType.GROUP_SMALL and count > self._max_inline
            return state.but(
                type=ConversationType.GROUP_LARGE if grown else state.type,
                members_count=count,
                rows=rows,
                pending=dict.fromkeys(added, 0),
            )

        self._changes.apply(conversation_id, plan)
        return added

    def end_membership(self, user_id: UserId, conversation_id: ConversationId, *, at: MessageId) -> bool:
        """Set ``left_id``; return whether the user was a member whose stay began before ``at``."""

        def plan(state: State) -> Change | None:
            place = self._changes.places(conversation_id, [user_id]).get(user_id)
            if place is None or place.joined_id >= at:
                return None
            return state.but(
                members_count=state.members_count - 1, rows=[leaving(conversation_id, user_id)], pending={user_id: at}
            )

        return self._apply(conversation_id, plan)

    def set_role(self, user_id: UserId, conversation_id: ConversationId, role: Role) -> None:
        """Change an active member's role."""

        def plan(state: State) -> Change | None:
            if user_id not in self._changes.places(conversation_id, [user_id]):
                return None
            return state.but(rows=[with_role(conversation_id, user_id, role)], pending={user_id: 0})

        self._apply(conversation_id, plan)

    def mark_read(self, marks: Sequence[tuple[UserId, ConversationId, MessageId]]) -> None:
        """Move ``last_read_id`` forward."""
        self._session.write(
            (text, (written_us(message), message, user, conversation))
            for user, conversation, message in marks
            for text in _READ
        )

    def keep_marks(self, user_id: UserId, device_id: DeviceId, marks: Mapping[ConversationId, Mark]) -> None:
        """Remember how far a device has each conversation."""
        self._session.write(
            (_KEEP_CHAIN, (written_us(held), sub, held, user_id, device_id, conversation))
            if sub
            else (_KEEP_MARK, (user_id, device_id, conversation, held, written_us(held)))
            for conversation, mark in marks.items()
            for sub, held in mark.items()
        )

    def kept_marks(self, user_id: UserId, device_id: DeviceId, *, limit: int) -> dict[ConversationId, Mark]:
        """Return the newest marks that were remembered of a device."""
        marks: list[tuple[ConversationId, Mark]] = []
        for conversation, first, further in self._session.rows(_KEPT_MARKS, (user_id, device_id)):
            held = {sub: MessageId(mark) for sub, mark in (further or {}).items()}
            if first is not None:
                held[0] = MessageId(first)
            if held:
                marks.append((ConversationId(conversation), held))
        marks.sort(key=lambda it: max(it[1].values()), reverse=True)
        return dict(marks[:limit])

    def set_muted(self, user_id: UserId, conversation_id: ConversationId, until: datetime | None) -> None:
        """Mute until a moment, or not at all."""
        now_us = time.time_ns() // 1000
        self._session.write((text, (now_us, until or NOT_MUTED, user_id, conversation_id)) for text in _MUTE)

    def shelve(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        archived_id: MessageId | None = None,
        pinned: bool | None = None,
        unread_id: MessageId | None = None,
    ) -> None:
        """Change these of a member's ``shelf``."""
        given = {"archived_id": archived_id, "is_pinned": pinned, "unread_id": unread_id}
        now_us = time.time_ns() // 1000
        self._session.write(
            (_SHELVE.format(column), (now_us, value, user_id, conversation_id))
            for column, value in given.items()
            if value is not None
        )

    # --- retention ----------------------------------------------------------------------------

    def set_timer(self, conversation_id: ConversationId, timer_s: int | None) -> None:
        """Set after how many seconds messages are to expire; None for never."""
        self._session.write([(_SET_TIMER, (time.time_ns() // 1000, timer_s or 0, conversation_id))])

    def expire(self, conversation_id: ConversationId, upto: MessageId) -> None:
        """Move ``expired_id`` forward."""
        self._session.write([(_EXPIRE, (written_us(upto), upto, conversation_id))])

    def scan(self, *, after: int | None = None, limit: int) -> list[tuple[int, Conversation]]:
        """Return a page of all conversations; the position is the partition's token."""
        found: list[tuple[int, Conversation]] = []
        position = _BEFORE_ALL if after is None else after
        while (wanted := limit - len(found)) > 0:
            rows = self._session.rows(_SCAN, (position, wanted))
            # Partitions without a type are marks of a conversation that was never created.
            found += [(row[0], _conversation(row[1:], None)) for row in rows if row[2] is not None]
            if len(rows) < wanted:
                break
            position = rows[-1][0]
        return found
