"""Messages in Cassandra (design section 4; docs/decisions/0015-cassandra-tables.md and 0018-cassandra-dedupe.md).

There are no transactions. ``upsert`` writes all that belongs to the messages, and then moves
``last_message_id``; each of it may be done again.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cassandra.query import UNSET_VALUE

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
from messaging.domain.ids import MAX_ID, ConversationId, MessageId, UserId
from messaging.domain.messages import DedupeKey, StoredMessage, StoredReceipt
from messaging.ports import Placed

_FIND_PLACED: Final = "SELECT dedupe_key, message_id, prev_id FROM {ks}.message_dedupe WHERE dedupe_key IN ?"
_PLACE: Final = "INSERT INTO {ks}.message_dedupe (dedupe_key, message_id, prev_id) VALUES (?, ?, ?) USING TIMESTAMP ?"

_COLUMNS: Final = "conversation_id, message_id, sender_id, client_msg_id, body, media_refs, prev_id, reply_to, kind"
_INSERT: Final = (
    "INSERT INTO {ks}.messages (conversation_id, bucket, message_id, sender_id, client_msg_id, body, media_refs,"
    " prev_id, reply_to, kind) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
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
    "SELECT message_id, sender_id, kind FROM {ks}.messages"
    " WHERE conversation_id = ? AND bucket = ? AND message_id > ? AND message_id <= ? LIMIT ?"
)

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

_BY_USER: Final = (
    "INSERT INTO {ks}.messages_by_user (user_id, bucket, message_id, conversation_id)"
    " VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
)
_MEMBERS: Final = "SELECT conversation_id, user_id, role FROM {ks}.conversations WHERE conversation_id IN ?"
_MOVE_LAST: Final = "UPDATE {ks}.conversations USING TIMESTAMP ? SET last_message_id = ? WHERE conversation_id = ?"

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
    )


def _dedupe_key(message: StoredMessage) -> DedupeKey:
    return DedupeKey(message.conversation_id, message.sender_id, message.client_msg_id)


def _or_unset(value: Any) -> Any:
    # A null that is written is a tombstone, to be read past for ten days.
    return UNSET_VALUE if value is None else value


class CassandraMessageStore:
    """``MessageStore`` on Cassandra. Called from threads, which share the session."""

    def __init__(self, session: CassandraSession) -> None:
        self._session = session

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
        recipients: Mapping[ConversationId, Sequence[UserId]],
        placed: Mapping[DedupeKey, Placed] | None = None,
    ) -> None:
        """Store messages and what leads to them. Durable on return.

        After an error or a crash at any point the same call, with the ``prev_id`` that ``find_placed`` gives by then,
        completes what was begun.
        """
        if placed is None:
            placed = self.find_placed([_dedupe_key(m) for m in messages])
        fresh, present = self._first_copies(messages, placed)
        self._session.write(
            [
                *self._placing(fresh),
                *self._new_buckets(fresh),
                *self._new_days(fresh),
                *self._rows(fresh, present),
                *self._by_user(fresh, recipients),
            ]
        )
        # Only now: until this mark has moved, whoever repeats it all finds what was found before and gives the same
        # ``prev``; and what is said to be the last message is there.
        newest: dict[ConversationId, MessageId] = {}
        for m in fresh:
            newest[m.conversation_id] = max(newest.get(m.conversation_id, m.message_id), m.message_id)
        self._session.write([(_MOVE_LAST, (written_us(m), m, c)) for c, m in newest.items()])

    def _first_copies(
        self, messages: Sequence[StoredMessage], placed: Mapping[DedupeKey, Placed]
    ) -> tuple[list[StoredMessage], set[tuple[ConversationId, MessageId]]]:
        """Return the messages that no earlier copy stands for, and which of them ``messages`` has already."""
        first = {key: at.message_id for key, at in placed.items()}
        fresh = [m for m in messages if first.setdefault(_dedupe_key(m), m.message_id) == m.message_id]
        # Read again after a crash, which may have come before or after the row.
        again = [(m.conversation_id, m.message_id) for m in fresh if _dedupe_key(m) in placed]
        return fresh, set(self.get(again))

    @staticmethod
    def _placing(messages: Iterable[StoredMessage]) -> list[Work]:
        return [
            (
                _PLACE,
                (pack_dedupe_key(_dedupe_key(m)), m.message_id, _or_unset(m.prev_id), written_us(m.message_id)),
            )
            for m in messages
        ]

    @staticmethod
    def _new_buckets(messages: Iterable[StoredMessage]) -> list[Work]:
        """Return an index row for each bucket that may be new: that of ``prev_id`` is there, or is written here."""
        new = {
            (m.conversation_id, bucket_of(m.message_id)): written_us(m.message_id)
            for m in messages
            if m.prev_id is None or bucket_of(m.prev_id) != bucket_of(m.message_id)
        }
        return [(_ADD_BUCKET, (conversation, bucket, at)) for (conversation, bucket), at in new.items()]

    def _new_days(self, messages: Iterable[StoredMessage]) -> list[Work]:
        """Return the mark "active on this day" for every member, where the day is not that of ``prev_id``."""
        days: dict[ConversationId, int] = {}
        for m in messages:
            day = day_of(m.message_id)
            if m.prev_id is None or day_of(m.prev_id) != day:
                days[m.conversation_id] = max(days.get(m.conversation_id, 0), day)
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
                    written_us(m.message_id),
                ),
            )
            for m in messages
            if (m.conversation_id, m.message_id) not in present
        ]

    @staticmethod
    def _by_user(
        messages: Iterable[StoredMessage], recipients: Mapping[ConversationId, Sequence[UserId]]
    ) -> list[Work]:
        return [
            (_BY_USER, (user, bucket_of(m.message_id), m.message_id, m.conversation_id, written_us(m.message_id)))
            for m in messages
            for user in recipients.get(m.conversation_id, ())
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
        wanted: dict[tuple[ConversationId, int], set[MessageId]] = {}
        for conversation, message in refs:
            wanted.setdefault((conversation, bucket_of(message)), set()).add(message)
        found = self._session.each(
            [
                (_BY_IDS, (conversation, bucket, list(chunk)))
                for (conversation, bucket), ids in wanted.items()
                for chunk in chunks(list(ids), _IDS)
            ]
        )
        messages = [_message(row) for rows in found for row in rows]
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
        return self._walk(conversation_id, after, last, limit, down=True)

    def oldest_after(
        self, conversation_id: ConversationId, *, after: MessageId, upto: MessageId | None = None, limit: int
    ) -> list[StoredMessage]:
        """Return the oldest ``limit`` messages with ``after < id <= upto``, oldest first."""
        return self._walk(conversation_id, after, MAX_ID if upto is None else upto, limit, down=False)

    def _walk(
        self, conversation_id: ConversationId, after: int, last: int, limit: int, *, down: bool
    ) -> list[StoredMessage]:
        """Return up to ``limit`` messages with ``after < id <= last``, from the end that ``down`` says.

        Reads only buckets that have messages: one, then two, four …, so that a busy conversation costs one read
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
                        (_NEWEST if down else _OLDEST, (conversation_id, bucket, after, last, wanted))
                        for bucket in buckets[start : start + size]
                    ]
                ):
                    found += rows
                start, size = start + size, min(size * 2, _ROUND)
            if len(buckets) < _INDEX_PAGE:
                break
            low, high = (low, buckets[-1] - 1) if down else (buckets[-1] + 1, high)
        return [_message(row) for row in found[:limit]]

    def count_unread(
        self, user_id: UserId, since: Mapping[ConversationId, MessageId], *, cap: int
    ) -> dict[ConversationId, int]:
        """Return, per conversation, how many text messages of others are newer than the mark; at most ``cap``.

        Bounded also where the user's own messages lie between: it reads at most twenty times.
        """
        counts = dict.fromkeys(since, 0)
        last_ids: dict[ConversationId, int | None] = dict(self._session.many(LAST_IDS, list(since)))
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
                walk.count += sum(sender != user_id and kind == "text" for _, sender, kind in rows)
                if len(rows) == page:
                    walk.read_on.append((bucket, rows[-1][0] - 1))
        for walk in walks.values():
            counts[walk.conversation] = min(cap, walk.count)
        return counts


class _Unread:
    """Counting in one conversation: which pages come next."""

    def __init__(self, conversation: ConversationId, mark: MessageId) -> None:
        self.conversation = conversation
        self.mark = mark
        self.count = 0
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
