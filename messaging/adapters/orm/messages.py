"""Messages in a relational database: SQLite or PostgreSQL (design section 4).

Plain SQL, the same on both: the router writes here for every message, and building model instances
would cost more than the database does. Many rows go into one statement: Python's SQLite module gives up the
interpreter at each step of one, and under load every return to it waits (docs/performance.md).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from django.db import connections, transaction

from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.messages import DedupeKey, StoredMessage, StoredReceipt
from messaging.ports import Placed

T = TypeVar("T")

#: Parameters of one statement; old SQLite builds take 999.
_MAX_PARAMETERS: Final = 990
#: Keys looked up by one statement; they have three parameters each.
_CHUNK: Final = _MAX_PARAMETERS // 3

_COLUMNS: Final = "conversation_id, message_id, sender_id, client_msg_id, body, media_refs, prev_id, reply_to, kind"

_INSERT_MESSAGES: Final = f"INSERT INTO messages ({_COLUMNS}) VALUES {{}} ON CONFLICT DO NOTHING"  # noqa: S608
_INSERT_BY_USER: Final = (
    "INSERT INTO messages_by_user (user_id, message_id, conversation_id) VALUES {} ON CONFLICT DO NOTHING"
)
_INSERT_RECEIPTS: Final = (
    "INSERT INTO receipts (conversation_id, message_id, user_id, device_id, delivered_at_ms)"
    " VALUES {} ON CONFLICT DO NOTHING"
)
_LOCK: Final = "SELECT 1 FROM conversations WHERE id IN {} ORDER BY id FOR UPDATE"
_MOVE_LAST: Final = (
    "WITH k (c, m) AS (VALUES {})"
    " UPDATE conversations SET last_message_id = k.m, activity_id = k.m FROM k"
    " WHERE id = k.c AND (last_message_id IS NULL OR last_message_id < k.m)"
)


def _chunks(items: Sequence[T], size: int = _CHUNK) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _values(rows: int, width: int) -> str:
    """Return the text of a VALUES list with a placeholder for every cell."""
    row = "(" + ", ".join(["%s"] * width) + ")"
    return ", ".join([row] * rows)


def _execute_many(cursor: Any, sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Execute ``sql`` with the rows in place of ``{}``, in few statements; return how many rows were inserted."""
    inserted = 0
    width = len(rows[0]) if rows else 1
    for chunk in _chunks(rows, _MAX_PARAMETERS // width):
        cursor.execute(sql.format(_values(len(chunk), width)), [cell for row in chunk for cell in row])
        inserted += cursor.rowcount
    return inserted


def _message(row: Sequence[Any]) -> StoredMessage:
    media = row[5]
    return StoredMessage(
        conversation_id=ConversationId(row[0]),
        message_id=MessageId(row[1]),
        sender_id=UserId(row[2]),
        client_msg_id=bytes(row[3]),
        body=bytes(row[4]).decode(),
        media=[] if media == "[]" else list(json.loads(media) if isinstance(media, str) else media),
        prev_id=None if row[6] is None else MessageId(row[6]),
        reply_to=None if row[7] is None else MessageId(row[7]),
        kind=row[8],
    )


class OrmMessageStore:
    """``MessageStore`` on Django's connection ``using``. Called from threads; each has its own connection."""

    def __init__(self, *, using: str = "default") -> None:
        self._using = using

    def find_placed(self, keys: Sequence[DedupeKey]) -> dict[DedupeKey, Placed]:
        """Return, of the keys ever stored, where each was stored."""
        found: dict[DedupeKey, Placed] = {}
        with connections[self._using].cursor() as cursor:
            for chunk in _chunks(keys):
                # CROSS JOIN: SQLite keeps the order of the tables, so the keys drive the unique index.
                cursor.execute(
                    f"WITH k (c, s, m) AS (VALUES {_values(len(chunk), 3)})"  # noqa: S608
                    " SELECT k.c, k.s, k.m, t.message_id, t.prev_id FROM k CROSS JOIN messages t"
                    " WHERE t.conversation_id = k.c AND t.sender_id = k.s AND t.client_msg_id = k.m",
                    [cell for key in chunk for cell in (key.conversation_id, key.sender_id, key.client_msg_id)],
                )
                for conversation, sender, client_msg_id, message, prev in cursor.fetchall():
                    found[DedupeKey(conversation, sender, bytes(client_msg_id))] = Placed(message, prev)
        return found

    def upsert(
        self,
        messages: Sequence[StoredMessage],
        *,
        recipients: Mapping[ConversationId, Sequence[UserId]],
        placed: Mapping[DedupeKey, Placed] | None = None,
    ) -> None:
        """Store messages, index them by recipient and move ``last_message_id`` forward, in one transaction.

        The unique key tells copies, whatever was ``placed``.
        """
        if not messages:
            return
        rows = [
            (
                m.conversation_id,
                m.message_id,
                m.sender_id,
                m.client_msg_id,
                m.body.encode(),
                json.dumps(m.media) if m.media else "[]",
                m.prev_id,
                m.reply_to,
                m.kind,
            )
            for m in messages
        ]
        with transaction.atomic(using=self._using), connections[self._using].cursor() as cursor:
            stored = messages
            if _execute_many(cursor, _INSERT_MESSAGES, rows) != len(rows):
                # Some were there before, or lost to an earlier copy with the same client id: only
                # what is in the table may be indexed.
                present = self._present(cursor, [(m.conversation_id, m.message_id) for m in messages])
                stored = [m for m in messages if (m.conversation_id, m.message_id) in present]
            newest: dict[ConversationId, MessageId] = {}
            index: list[tuple[int, int, int]] = []
            for m in stored:
                conversation, message = m.conversation_id, m.message_id
                if newest.get(conversation, 0) < message:
                    newest[conversation] = message
                for user in recipients.get(conversation, ()):
                    index.append((user, message, conversation))
            _execute_many(cursor, _INSERT_BY_USER, index)
            moved = sorted(newest.items())
            if connections[self._using].features.has_select_for_update:
                # In id order: two routers that overlap lock the rows in the same order.
                for chunk in _chunks([conversation for conversation, _ in moved]):
                    cursor.execute(_LOCK.format(_values(1, len(chunk))), chunk)
            _execute_many(cursor, _MOVE_LAST, moved)

    @staticmethod
    def _present(cursor: Any, refs: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
        present: set[tuple[int, int]] = set()
        for chunk in _chunks(refs):
            cursor.execute(
                f"WITH k (c, m) AS (VALUES {_values(len(chunk), 2)})"  # noqa: S608
                " SELECT t.conversation_id, t.message_id FROM k CROSS JOIN messages t"
                " WHERE t.conversation_id = k.c AND t.message_id = k.m",
                [cell for ref in chunk for cell in ref],
            )
            present.update((row[0], row[1]) for row in cursor.fetchall())
        return present

    def get(
        self, refs: Sequence[tuple[ConversationId, MessageId]]
    ) -> dict[tuple[ConversationId, MessageId], StoredMessage]:
        """Return those that exist."""
        columns = ", ".join("t." + name for name in _COLUMNS.split(", "))
        found: dict[tuple[ConversationId, MessageId], StoredMessage] = {}
        for chunk in _chunks(refs):
            for message in self._select(
                f"WITH k (c, m) AS (VALUES {_values(len(chunk), 2)})"  # noqa: S608
                f" SELECT {columns} FROM k CROSS JOIN messages t"
                " WHERE t.conversation_id = k.c AND t.message_id = k.m",
                [cell for ref in chunk for cell in ref],
            ):
                found[message.conversation_id, message.message_id] = message
        return found

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
        where, params = "conversation_id = %s AND message_id > %s", [conversation_id, after]
        if before is not None:
            where, params = where + " AND message_id < %s", [*params, before]
        if upto is not None:
            where, params = where + " AND message_id <= %s", [*params, upto]
        return self._select(
            f"SELECT {_COLUMNS} FROM messages WHERE {where} ORDER BY message_id DESC LIMIT %s",  # noqa: S608
            [*params, limit],
        )

    def oldest_after(
        self, conversation_id: ConversationId, *, after: MessageId, upto: MessageId | None = None, limit: int
    ) -> list[StoredMessage]:
        """Return the oldest ``limit`` messages with ``after < id <= upto``, oldest first."""
        where, params = "conversation_id = %s AND message_id > %s", [conversation_id, after]
        if upto is not None:
            where, params = where + " AND message_id <= %s", [*params, upto]
        return self._select(
            f"SELECT {_COLUMNS} FROM messages WHERE {where} ORDER BY message_id LIMIT %s",  # noqa: S608
            [*params, limit],
        )

    def count_unread(
        self, user_id: UserId, since: Mapping[ConversationId, MessageId], *, cap: int
    ) -> dict[ConversationId, int]:
        """Return, per conversation, how many text messages of others are newer than the mark; at most ``cap``."""
        counts: dict[ConversationId, int] = {}
        with connections[self._using].cursor() as cursor:
            for chunk in _chunks(list(since.items())):
                cursor.execute(
                    f"WITH k (c, mark) AS (VALUES {_values(len(chunk), 2)})"  # noqa: S608
                    " SELECT k.c, (SELECT COUNT(*) FROM (SELECT 1 AS one FROM messages t"
                    " WHERE t.conversation_id = k.c AND t.message_id > k.mark AND t.sender_id <> %s AND t.kind = 'text'"
                    " LIMIT %s) AS newer) FROM k",
                    [*(cell for pair in chunk for cell in pair), user_id, cap],
                )
                counts.update((ConversationId(row[0]), row[1]) for row in cursor.fetchall())
        return counts

    def save_receipts(self, receipts: Sequence[StoredReceipt]) -> None:
        """Store delivery receipts in one transaction; the first time of a device stands."""
        if not receipts:
            return
        with transaction.atomic(using=self._using), connections[self._using].cursor() as cursor:
            _execute_many(
                cursor,
                _INSERT_RECEIPTS,
                [(r.conversation_id, r.message_id, r.user_id, r.device_id, r.delivered_at_ms) for r in receipts],
            )

    def _select(self, sql: str, params: Sequence[Any]) -> list[StoredMessage]:
        with connections[self._using].cursor() as cursor:
            cursor.execute(sql, params)
            return [_message(row) for row in cursor.fetchall()]
