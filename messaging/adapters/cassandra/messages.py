"""Messages and changes in Cassandra (design section 4; docs/decisions/0015-cassandra-tables.md, 0018 and 0024).

There are no transactions. ``upsert`` writes all that belongs to the messages, folds changes in, and then moves the
last ids; each of it may be done again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from cassandra.query import UNSET_VALUE

from messaging.adapters.cassandra.expiry import Expiry
from messaging.adapters.cassandra.layout import (
    ACTIVE_DAY,
    LAST_IDS,
    bucket_of,
    day_of,
    day_written_us,
    first_wins_us,
    pack_dedupe_key,
    unpack_dedupe_key,
    written_us,
)
from messaging.adapters.cassandra.session import CassandraSession, Row, Work, chunks
from messaging.domain.ids import MAX_ID, ConversationId, MessageId, UserId, sub_of
from messaging.domain.mentions import mentions_user
from messaging.domain.messages import (
    TALLY_USERS,
    DedupeKey,
    MessageChangeKind,
    Pin,
    StoredChange,
    StoredMessage,
    StoredReceipt,
    Tally,
    Unread,
)
from messaging.ports import Expired, Kept, Placed

_Row = TypeVar("_Row", StoredMessage, StoredChange)

_FIND_PLACED: Final = "SELECT dedupe_key, message_id, prev_id FROM {ks}.message_dedupe WHERE dedupe_key IN ?"
_PLACE: Final = "INSERT INTO {ks}.message_dedupe (dedupe_key, message_id, prev_id) VALUES (?, ?, ?) USING TIMESTAMP ?"

_COLUMNS: Final = (
    "conversation_id, message_id, sender_id, client_msg_id, body, media_refs, prev_id, reply_to, kind, forwarded, edit,"
    " delete_id, takedown, mentions, edit_mentions"
)
_INSERT: Final = (
    "INSERT INTO {ks}.messages (conversation_id, bucket, message_id, sender_id, client_msg_id, body, media_refs,"
    " prev_id, reply_to, kind, forwarded, mentions) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
_BY_IDS: Final = (
    "SELECT " + _COLUMNS + " FROM {ks}.messages WHERE conversation_id = ? AND bucket = ? AND message_id IN ?"
)
_NEWEST: Final = (
    "SELECT " + _COLUMNS + " FROM {ks}.messages"
    " WHERE conversation_id = ? AND bucket = ? AND message_id > ? AND message_id <= ? LIMIT ?"
)
_OLDEST: Final = (
    "SELECT " + _COLUMNS + " FROM {ks}.messages"
    " WHERE conversation_id = ? AND bucket = ? AND message_id > ? AND message_id <= ? ORDER BY message_id ASC LIMIT ?"
)
_UNREAD: Final = (
    "SELECT message_id, sender_id, kind, delete_id, takedown, mentions, edit_mentions FROM {ks}.messages"
    " WHERE conversation_id = ? AND bucket = ? AND message_id > ? AND message_id <= ? LIMIT ?"
)

_CHANGE: Final = (
    "conversation_id, change_id, target_id, actor_id, client_msg_id, kind, body, emoji, is_on, count, prev_id, mentions"
)
_INSERT_CHANGE: Final = (
    "INSERT INTO {ks}.message_changes (conversation_id, bucket, change_id, target_id, actor_id, client_msg_id, kind,"
    " body, emoji, is_on, count, prev_id, mentions) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
_CHANGES_BY_IDS: Final = (
    "SELECT conversation_id, change_id FROM {ks}.message_changes"
    " WHERE conversation_id = ? AND bucket = ? AND change_id IN ?"
)
_NEWEST_CHANGES: Final = (
    "SELECT " + _CHANGE + " FROM {ks}.message_changes"
    " WHERE conversation_id = ? AND bucket = ? AND change_id > ? AND change_id <= ? LIMIT ?"
)
# An edit's id and text are one cell: of two edits in one millisecond Cassandra keeps the larger, which is the later.
_EDIT: Final = (
    "UPDATE {ks}.messages USING TIMESTAMP ? SET edit = ?, edit_mentions = ?"
    " WHERE conversation_id = ? AND bucket = ? AND message_id = ?"
)
_DELETE: Final = (
    "UPDATE {ks}.messages USING TIMESTAMP ? SET delete_id = ?"
    " WHERE conversation_id = ? AND bucket = ? AND message_id = ?"
)
# The decision and its id are one cell, for the same reason.
_TAKEDOWN: Final = (
    "UPDATE {ks}.messages USING TIMESTAMP ? SET takedown = ?"
    " WHERE conversation_id = ? AND bucket = ? AND message_id = ?"
)
_REACT: Final = (
    "INSERT INTO {ks}.message_reactions (conversation_id, bucket, target_id, emoji, user_id, state)"
    " VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
_REACTIONS: Final = (
    "SELECT conversation_id, target_id, emoji, user_id, state FROM {ks}.message_reactions"
    " WHERE conversation_id = ? AND bucket = ? AND target_id IN ?"
)

_PIN: Final = "INSERT INTO {ks}.message_pins (conversation_id, target_id, state) VALUES (?, ?, ?) USING TIMESTAMP ?"
_PINS: Final = "SELECT target_id, state FROM {ks}.message_pins WHERE conversation_id = ?"

_ADD_BUCKET: Final = "INSERT INTO {ks}.message_buckets (conversation_id, bucket) VALUES (?, ?) USING TIMESTAMP ?"
_BUCKETS_DOWN: Final = (
    "SELECT bucket FROM {ks}.message_buckets WHERE conversation_id = ? AND bucket >= ? AND bucket <= ? LIMIT ?"
)
_BUCKETS_UP: Final = (
    "SELECT bucket FROM {ks}.message_buckets WHERE conversation_id = ? AND bucket >= ? AND bucket <= ?"
    " ORDER BY bucket ASC LIMIT ?"
)
_BUCKETS_OF_MANY: Final = (
    "SELECT conversation_id, bucket FROM {ks}.message_buckets WHERE conversation_id IN ? AND bucket >= ?"
    " PER PARTITION LIMIT ?"
)

_MEMBERS: Final = "SELECT conversation_id, user_id, role FROM {ks}.conversations WHERE conversation_id IN ?"
_MOVE_LAST: Final = "UPDATE {ks}.conversations USING TIMESTAMP ? SET last_message_id = ? WHERE conversation_id = ?"
_MOVE_LAST_ROW: Final = "UPDATE {ks}.conversations USING TIMESTAMP ? SET last_id = ? WHERE conversation_id = ?"
_MOVE_BOTH: Final = (
    "UPDATE {ks}.conversations USING TIMESTAMP ? SET last_message_id = ?, last_id = ? WHERE conversation_id = ?"
)

_BEGIN_CHAIN: Final = "UPDATE {ks}.conversations USING TIMESTAMP ? SET chain_first[?] = ? WHERE conversation_id = ?"
_MOVE_CHAIN: Final = "UPDATE {ks}.conversations USING TIMESTAMP ? SET chain_last[?] = ? WHERE conversation_id = ?"

_RECEIPT: Final = (
    "INSERT INTO {ks}.receipts (conversation_id, message_id, user_id, device_id, delivered_at)"
    " VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?"
)

#: Buckets that one look into the index returns, and that one round of reading asks at most.
_INDEX_PAGE: Final = 64
_ROUND: Final = 16
#: Rows that counting unread messages reads at once besides the cap, and how often it reads.
_SLACK: Final = 20
_UNREAD_ROUNDS: Final = 20
_UNREAD_BUCKETS: Final = 128
#: Message ids in one IN, within one partition.
_IDS: Final = 100


def _message(row: Row) -> StoredMessage:
    return StoredMessage(
        conversation_id=ConversationId(row[0]),
        message_id=MessageId(row[1]),
        sender_id=UserId(row[2]),
        client_msg_id=row[3],
        body=row[4].decode(),
        media=list(row[5] or ()),
        prev_id=None if row[6] is None else MessageId(row[6]),
        reply_to=None if row[7] is None else MessageId(row[7]),
        kind=row[8],
        forwarded=bool(row[9]),
        edit_id=None if row[10] is None else MessageId(row[10][0]),
        edited_body="" if row[10] is None else row[10][1].decode(),
        delete_id=None if row[11] is None else MessageId(row[11]),
        takedown_id=None if row[12] is None else MessageId(row[12][0]),
        withheld=row[12] is not None and row[12][1],
        mentions=list(row[13] or ()),
        edited_mentions=[] if row[14] is None else list(row[14][1]),
    )


def _change(row: Row) -> StoredChange:
    return StoredChange(
        conversation_id=ConversationId(row[0]),
        change_id=MessageId(row[1]),
        target_id=MessageId(row[2]),
        actor_id=UserId(row[3]),
        client_msg_id=row[4],
        kind=MessageChangeKind(row[5]),
        body=row[6].decode(),
        emoji=row[7],
        on=row[8],
        count=row[9],
        prev_id=None if row[10] is None else MessageId(row[10]),
        mentions=list(row[11] or ()),
    )


def _messages(rows: Iterable[Row]) -> list[StoredMessage]:
    """Return the rows that are messages. One without a sender is what a fold left that came after its target went."""
    return [_message(row) for row in rows if row[2] is not None]


def _id_of(row: StoredMessage | StoredChange) -> MessageId:
    return row.message_id if isinstance(row, StoredMessage) else row.change_id


def _dedupe_key(row: StoredMessage | StoredChange) -> DedupeKey:
    author = row.sender_id if isinstance(row, StoredMessage) else row.actor_id
    return DedupeKey(row.conversation_id, author, row.client_msg_id)


def _first_copies(rows: Sequence[_Row], placed: Mapping[DedupeKey, Placed]) -> list[_Row]:
    """Return the rows that no earlier copy stands for."""
    first = {key: at.message_id for key, at in placed.items()}
    return [row for row in rows if first.setdefault(_dedupe_key(row), _id_of(row)) == _id_of(row)]


def _by_bucket(statement: str, refs: Iterable[tuple[ConversationId, MessageId]]) -> list[Work]:
    """Return what asks for rows by the ids of messages or changes, a statement for each partition and ``_IDS``."""
    wanted: dict[tuple[ConversationId, int], set[MessageId]] = {}
    for conversation, number in refs:
        wanted.setdefault((conversation, bucket_of(number)), set()).add(number)
    return [
        (statement, (conversation, bucket, list(chunk)))
        for (conversation, bucket), ids in wanted.items()
        for chunk in chunks(list(ids), _IDS)
    ]


def _moving(messages: Iterable[StoredMessage], rows: Iterable[StoredMessage | StoredChange]) -> list[Work]:
    """Return what moves the marks of each conversation to its newest message and to the newest row of its chains.

    In an ordinary one, which has the first chain only, both are mostly the same.
    """
    last = {m.conversation_id: m.message_id for m in sorted(messages, key=_id_of)}
    ends = {(row.conversation_id, sub_of(_id_of(row))): _id_of(row) for row in sorted(rows, key=_id_of)}
    work: list[Work] = []
    for (conversation, sub), at in ends.items():
        if sub:
            work.append((_MOVE_CHAIN, (written_us(at), sub, at, conversation)))
        elif last.get(conversation) == at:
            work.append((_MOVE_BOTH, (written_us(at), at, at, conversation)))
        else:
            work.append((_MOVE_LAST_ROW, (written_us(at), at, conversation)))
    work += [
        (_MOVE_LAST, (written_us(message), message, conversation))
        for conversation, message in last.items()
        if ends.get((conversation, 0)) != message
    ]
    return work


def _folding(changes: Iterable[StoredChange]) -> Iterator[Work]:
    """Yield what folds changes into their targets: with the times of the changes, so that the newest stands."""
    for c in changes:
        at, target = written_us(c.change_id), (c.conversation_id, bucket_of(c.target_id), c.target_id)
        match c.kind:
            case MessageChangeKind.EDIT:
                yield _EDIT, (at, (c.change_id, c.body.encode()), (c.change_id, c.mentions), *target)
            case MessageChangeKind.DELETE:
                yield _DELETE, (at, c.change_id, *target)
            case MessageChangeKind.TAKEDOWN | MessageChangeKind.RESTORE:
                yield _TAKEDOWN, (at, (c.change_id, c.kind is MessageChangeKind.TAKEDOWN), *target)
            case MessageChangeKind.REACT:
                yield _REACT, (*target, c.emoji, c.actor_id, (c.change_id, c.on), at)
            case MessageChangeKind.PIN:
                yield _PIN, (c.conversation_id, c.target_id, (c.change_id, c.on, c.actor_id), at)


def _tallies(of_emoji: Mapping[str, list[tuple[int, UserId]]], viewer: UserId) -> list[Tally]:
    tallies = []
    for emoji, unordered in sorted(of_emoji.items(), key=lambda item: min(item[1])):
        users = [user for _, user in sorted(unordered)]
        tallies.append(Tally(emoji, len(users), viewer in users, tuple(users[:TALLY_USERS])))
    return tallies


def _or_unset(value: Any) -> Any:
    # A null that is written is a tombstone, to be read past for ten days.
    return UNSET_VALUE if value is None else value


class CassandraMessageStore:
    """``MessageStore`` on Cassandra. Called from threads, which share the session."""

    def __init__(self, session: CassandraSession) -> None:
        self._session = session
        self._expiry = Expiry(session)

    # --- writing ------------------------------------------------------------------------------

    def find_placed(self, keys: Sequence[DedupeKey]) -> dict[DedupeKey, Placed]:
        """Return, of the keys stored within seven days, where each was stored first."""
        packed = list({pack_dedupe_key(key) for key in keys})
        return {
            unpack_dedupe_key(key): Placed(MessageId(message), None if prev is None else MessageId(prev))
            for key, message, prev in self._session.many(_FIND_PLACED, packed)
        }

    def upsert(
        self,
        messages: Sequence[StoredMessage],
        *,
        changes: Sequence[StoredChange] = (),
        placed: Mapping[DedupeKey, Placed] | None = None,
    ) -> None:
        """Store messages, changes and what leads to them, and fold the changes in. Durable on return.

        After an error or a crash at any point the same call, with the ``prev_id`` that ``find_placed`` gives by then,
        completes what was begun.
        """
        if placed is None:
            placed = self.find_placed([*map(_dedupe_key, messages), *map(_dedupe_key, changes)])
        fresh = _first_copies(messages, placed)
        fresh_changes = _first_copies(changes, placed)
        fresh_rows: list[StoredMessage | StoredChange] = [*fresh, *fresh_changes]
        # Read again after a crash, which may have come before or after the row.
        present = set(self.get([(m.conversation_id, m.message_id) for m in fresh if _dedupe_key(m) in placed]))
        again = [(c.conversation_id, c.change_id) for c in fresh_changes if _dedupe_key(c) in placed]
        self._session.write(
            [
                *self._placing(fresh_rows),
                *self._new_buckets(fresh_rows),
                *self._new_days(fresh_rows),
                *self._new_chains(fresh_rows),
                *self._rows(fresh, present),
                *self._change_rows(fresh_changes, self._present_changes(again)),
            ]
        )
        # After the messages: a fold into a row that is not there would be read as a message of nobody.
        self._session.write(_folding(fresh_changes))
        # Only now: until these marks have moved, whoever repeats it all finds what was found before and gives the same
        # ``prev``; and what is said to be the last message is there.
        self._session.write(_moving(fresh, fresh_rows))

    def _present_changes(
        self, refs: Sequence[tuple[ConversationId, MessageId]]
    ) -> set[tuple[ConversationId, MessageId]]:
        found = self._session.each(_by_bucket(_CHANGES_BY_IDS, refs))
        return {(conversation, change) for rows in found for conversation, change in rows}

    @staticmethod
    def _placing(rows: Iterable[StoredMessage | StoredChange]) -> list[Work]:
        return [
            (
                _PLACE,
                (pack_dedupe_key(_dedupe_key(row)), _id_of(row), _or_unset(row.prev_id), written_us(_id_of(row))),
            )
            for row in rows
        ]

    @staticmethod
    def _new_buckets(rows: Iterable[StoredMessage | StoredChange]) -> list[Work]:
        """Return an index row for each bucket that may be new: that of ``prev_id`` is there, or is written here."""
        new = {
            (row.conversation_id, bucket_of(_id_of(row))): written_us(_id_of(row))
            for row in rows
            if row.prev_id is None or bucket_of(row.prev_id) != bucket_of(_id_of(row))
        }
        return [(_ADD_BUCKET, (conversation, bucket, at)) for (conversation, bucket), at in new.items()]

    @staticmethod
    def _new_chains(rows: Iterable[StoredMessage | StoredChange]) -> list[Work]:
        """Return what notes the first row of each chain that begins here."""
        firsts = [row for row in rows if row.prev_id is None and sub_of(_id_of(row))]
        return [
            (_BEGIN_CHAIN, (written_us(_id_of(row)), sub_of(_id_of(row)), _id_of(row), row.conversation_id))
            for row in firsts
        ]

    def _new_days(self, rows: Iterable[StoredMessage | StoredChange]) -> list[Work]:
        """Return the mark "active on this day" for every member, where the day is not that of ``prev_id``."""
        days: dict[ConversationId, int] = {}
        for row in rows:
            day = day_of(_id_of(row))
            if row.prev_id is None or day_of(row.prev_id) != day:
                days[row.conversation_id] = max(days.get(row.conversation_id, 0), day)
        return [
            (ACTIVE_DAY, (day_written_us(days[conversation]), days[conversation], user, conversation))
            for conversation, user, role in self._session.many(_MEMBERS, list(days))
            if role is not None
        ]

    @staticmethod
    def _rows(messages: Iterable[StoredMessage], present: set[tuple[ConversationId, MessageId]]) -> list[Work]:
        return [
            (
                _INSERT,
                (
                    m.conversation_id,
                    bucket_of(m.message_id),
                    m.message_id,
                    m.sender_id,
                    m.client_msg_id,
                    m.body.encode(),
                    m.media or UNSET_VALUE,
                    _or_unset(m.prev_id),
                    _or_unset(m.reply_to),
                    m.kind,
                    m.forwarded or UNSET_VALUE,
                    m.mentions or UNSET_VALUE,
                    written_us(m.message_id),
                ),
            )
            for m in messages
            if (m.conversation_id, m.message_id) not in present
        ]

    @staticmethod
    def _change_rows(changes: Iterable[StoredChange], present: set[tuple[ConversationId, MessageId]]) -> list[Work]:
        return [
            (
                _INSERT_CHANGE,
                (
                    c.conversation_id,
                    bucket_of(c.change_id),
                    c.change_id,
                    c.target_id,
                    c.actor_id,
                    c.client_msg_id,
                    c.kind.value,
                    c.body.encode(),
                    c.emoji,
                    c.on,
                    c.count,
                    _or_unset(c.prev_id),
                    c.mentions or UNSET_VALUE,
                    written_us(c.change_id),
                ),
            )
            for c in changes
            if (c.conversation_id, c.change_id) not in present
        ]

    def save_receipts(self, receipts: Sequence[StoredReceipt]) -> None:
        """Store delivery receipts; the first time of a device stands."""
        self._session.write(
            (
                _RECEIPT,
                (
                    r.conversation_id,
                    r.message_id,
                    r.user_id,
                    r.device_id,
                    datetime.fromtimestamp(r.delivered_at_ms / 1000, UTC),
                    first_wins_us(r.delivered_at_ms),
                ),
            )
            for r in receipts
        )

    # --- reading ------------------------------------------------------------------------------

    def get(
        self, refs: Sequence[tuple[ConversationId, MessageId]]
    ) -> dict[tuple[ConversationId, MessageId], StoredMessage]:
        """Return those that exist."""
        found = self._session.each(_by_bucket(_BY_IDS, refs))
        messages = [message for rows in found for message in _messages(rows)]
        return {(m.conversation_id, m.message_id): m for m in messages}

    def newest(
        self,
        conversation_id: ConversationId,
        *,
        after: MessageId = MessageId(0),
        before: MessageId | None = None,
        upto: MessageId | None = None,
        limit: int,
    ) -> list[StoredMessage]:
        """Return the newest ``limit`` messages with ``after < id < before`` and ``id <= upto``, newest first."""
        last = min(MAX_ID if upto is None else upto, MAX_ID if before is None else before - 1)
        return _messages(self._walk(_NEWEST, conversation_id, after, last, limit, down=True))

    def oldest_after(
        self, conversation_id: ConversationId, *, after: MessageId, upto: MessageId | None = None, limit: int
    ) -> list[StoredMessage]:
        """Return the oldest ``limit`` messages with ``after < id <= upto``, oldest first."""
        last = MAX_ID if upto is None else upto
        return _messages(self._walk(_OLDEST, conversation_id, after, last, limit, down=False))

    def newest_changes(
        self,
        conversation_id: ConversationId,
        *,
        after: MessageId = MessageId(0),
        upto: MessageId | None = None,
        limit: int,
    ) -> list[StoredChange]:
        """Return the newest ``limit`` changes with ``after < id <= upto``, newest first."""
        last = MAX_ID if upto is None else upto
        return [_change(row) for row in self._walk(_NEWEST_CHANGES, conversation_id, after, last, limit, down=True)]

    def reactions(
        self, refs: Sequence[tuple[ConversationId, MessageId]], *, viewer: UserId
    ) -> dict[tuple[ConversationId, MessageId], list[Tally]]:
        """Return the reactions to those messages that have any; the emoji that came first, first."""
        found: dict[tuple[ConversationId, MessageId], dict[str, list[tuple[int, UserId]]]] = {}
        for rows in self._session.each(_by_bucket(_REACTIONS, refs)):
            for conversation, target, emoji, user, (change, on) in rows:
                if on:
                    found.setdefault((conversation, target), {}).setdefault(emoji, []).append((change, user))
        return {ref: _tallies(of_emoji, viewer) for ref, of_emoji in found.items()}

    def pins(self, conversation_id: ConversationId) -> list[Pin]:
        """Return what is pinned in a conversation, the newest pin first."""
        pinned = [
            Pin(MessageId(target), MessageId(change), UserId(user))
            for target, (change, on, user) in self._session.rows(_PINS, (conversation_id,))
            if on
        ]
        targets = self.get([(conversation_id, pin.message_id) for pin in pinned])
        standing = []
        for pin in pinned:
            target = targets.get((conversation_id, pin.message_id))
            if target is not None and target.readable and (target.takedown_id or 0) < pin.change_id:
                standing.append(pin)
        return sorted(standing, key=lambda pin: pin.change_id, reverse=True)

    def _walk(
        self, statement: str, conversation_id: ConversationId, after: int, last: int, limit: int, *, down: bool
    ) -> list[Row]:
        """Return up to ``limit`` rows with ``after < id <= last``, from the end that ``down`` says.

        Reads only buckets that have rows: one, then two, four …, so that a busy conversation costs one read
        and a sparse one few rounds.
        """
        low, high = bucket_of(after), bucket_of(last)
        found: list[Row] = []
        while low <= high and len(found) < limit:
            index = self._session.rows(
                _BUCKETS_DOWN if down else _BUCKETS_UP, (conversation_id, low, high, _INDEX_PAGE)
            )
            buckets = [bucket for (bucket,) in index]
            start, size = 0, 1
            while start < len(buckets) and len(found) < limit:
                wanted = limit - len(found)
                for rows in self._session.each(
                    [
                        (statement, (conversation_id, bucket, after, last, wanted))
                        for bucket in buckets[start : start + size]
                    ]
                ):
                    found += rows
                start, size = start + size, min(size * 2, _ROUND)
            if len(buckets) < _INDEX_PAGE:
                break
            low, high = (low, buckets[-1] - 1) if down else (buckets[-1] + 1, high)
        return found[:limit]

    def count_unread(
        self, user_id: UserId, since: Mapping[ConversationId, MessageId], *, cap: int
    ) -> dict[ConversationId, Unread]:
        """Return, per conversation, how many text messages of others are newer than the mark; at most ``cap``.

        And whether one of those read for it mentions the user now, by name or with everybody.
        Bounded also where the user's own messages lie between: it reads at most twenty times.
        """
        counts = dict.fromkeys(since, Unread())
        last_ids = {id_: last for id_, last, *_ in self._session.many(LAST_IDS, list(since))}
        walks = {c: _Unread(c, since[c]) for c in since if (last_ids.get(c) or 0) > since[c]}
        if not walks:
            return counts
        oldest = min(bucket_of(walk.mark) for walk in walks.values())
        for conversation, bucket in self._session.many(_BUCKETS_OF_MANY, list(walks), oldest, _UNREAD_BUCKETS):
            walks[conversation].add(bucket)
        page = cap + _SLACK
        open_walks = list(walks.values())
        while open_walks := [walk for walk in open_walks if walk.begin_round(cap)]:
            asked = [(walk, bucket, upto) for walk in open_walks for bucket, upto in walk.round]
            for (walk, bucket, _), rows in zip(
                asked,
                self._session.each(
                    [(_UNREAD, (walk.conversation, bucket, walk.mark, upto, page)) for walk, bucket, upto in asked]
                ),
                strict=True,
            ):
                of_others = [row for row in rows if row[1] != user_id and row[2] == "text"]
                walk.count += len(of_others)
                walk.mentioned = walk.mentioned or any(_is_mentioned(row, user_id) for row in of_others)
                if len(rows) == page:
                    walk.read_on.append((bucket, rows[-1][0] - 1))
        for walk in walks.values():
            counts[walk.conversation] = Unread(min(cap, walk.count), walk.mentioned)
        return counts

    # --- retention ----------------------------------------------------------------------------

    def expired(self, conversation_id: ConversationId, *, before: MessageId, keep: Kept, limit: int) -> Expired:
        """Return which messages with ids below ``before`` go next."""
        return self._expiry.expired(conversation_id, before, keep, limit)

    def delete_before(self, conversation_id: ConversationId, *, before: MessageId, keep: Kept) -> None:
        """Delete what has an id below ``before`` and is not in ``keep``; may be repeated."""
        self._expiry.delete_before(conversation_id, before, keep)

    def blank(self, conversation_id: ConversationId, message_ids: Sequence[MessageId]) -> None:
        """Take out of these messages, and of their edits, what they say; may be repeated."""
        self._expiry.blank(conversation_id, message_ids)


def _is_mentioned(row: Row, user_id: UserId) -> bool:
    """Return whether a row of ``_UNREAD`` mentions a user now."""
    deleted, takedown, written, edited = row[3:]
    if deleted is not None or (takedown is not None and takedown[1]):
        return False
    return mentions_user((written or ()) if edited is None else edited[1], user_id)


class _Unread:
    """Counting in one conversation: which pages come next."""

    def __init__(self, conversation: ConversationId, mark: MessageId) -> None:
        self.conversation = conversation
        self.mark = mark
        self.count = 0
        self.mentioned = False
        #: Buckets of which the next page begins at the given id, and those of this round.
        self.read_on: list[tuple[int, int]] = []
        self.round: list[tuple[int, int]] = []
        self._buckets: list[int] = []
        self._size = 1
        self._rounds = 0

    def add(self, bucket: int) -> None:
        if bucket >= bucket_of(self.mark):
            self._buckets.append(bucket)

    def begin_round(self, cap: int) -> bool:
        """Choose the pages of the next round: the rest of what was begun, else further buckets; False at the end."""
        if self.count >= cap or self._rounds >= _UNREAD_ROUNDS:
            return False
        self.round, self.read_on = self.read_on, []
        if not self.round:
            self.round = [(bucket, MAX_ID) for bucket in self._buckets[: self._size]]
            del self._buckets[: self._size]
            self._size = min(self._size * 2, _ROUND)
        self._rounds += 1
        return bool(self.round)
