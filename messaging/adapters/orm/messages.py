"""Messages in a relational database: SQLite or PostgreSQL (design section 4).

Plain SQL, the same on both: the router writes here for every message, and building model instances
would cost more than the database does. Many rows go into one statement: Python's SQLite module gives up the
interpreter at each step of one, and under load every return to it waits (docs/performance.md).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from django.db import connections, transaction

from messaging.domain.ids import ConversationId, MessageId, UserId, sub_of
from messaging.domain.mentions import EVERYBODY
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
from messaging.ports import Expired, Kept, Overtaken, Placed

T = TypeVar("T")

#: Parameters of one statement; old SQLite builds take 999.
_MAX_PARAMETERS: Final = 990
#: Keys looked up by one statement; they have three parameters each.
_CHUNK: Final = _MAX_PARAMETERS // 3

_COLUMNS: Final = (
    "conversation_id, message_id, sender_id, client_msg_id, body, media_refs, prev_id, reply_to, kind, forwarded,"
    " mentions"
)
_READ: Final = f"{_COLUMNS}, edit_id, edited_body, delete_id, takedown_id, withheld, edited_mentions"
_CHANGE: Final = (
    "conversation_id, change_id, target_id, actor_id, client_msg_id, kind, body, emoji, is_on, count, prev_id, mentions"
)

_INSERT_MESSAGES: Final = f"INSERT INTO messages ({_COLUMNS}) VALUES {{}} ON CONFLICT DO NOTHING"  # noqa: S608
_INSERT_RECEIPTS: Final = (
    "INSERT INTO receipts (conversation_id, message_id, user_id, device_id, delivered_at_ms)"
    " VALUES {} ON CONFLICT DO NOTHING"
)
_LOCK: Final = "SELECT 1 FROM conversations WHERE id IN {} ORDER BY id FOR UPDATE"
_MOVE_LAST: Final = (
    "WITH k (c, m) AS (VALUES {})"
    " UPDATE conversations SET last_message_id = CASE WHEN last_message_id > k.m THEN last_message_id ELSE k.m END,"
    " activity_id = CASE WHEN last_message_id > k.m THEN activity_id ELSE k.m END,"
    " last_id = CASE WHEN last_id > k.m THEN last_id ELSE k.m END FROM k"
    " WHERE id = k.c AND (last_id IS NULL OR last_id < k.m OR last_message_id IS NULL OR last_message_id < k.m)"
)
_MOVE_LAST_ROW: Final = (
    "WITH k (c, m) AS (VALUES {})"
    " UPDATE conversations SET last_id = k.m FROM k WHERE id = k.c AND (last_id IS NULL OR last_id < k.m)"
)
_MOVE_LAST_MESSAGE: Final = (
    "WITH k (c, m) AS (VALUES {})"
    " UPDATE conversations SET last_message_id = k.m, activity_id = k.m FROM k"
    " WHERE id = k.c AND (last_message_id IS NULL OR last_message_id < k.m)"
)
_MOVE_CHAIN: Final = (
    "INSERT INTO conversation_chains AS held (conversation_id, sub, first_id, last_id) VALUES {}"
    " ON CONFLICT (conversation_id, sub) DO UPDATE SET last_id = excluded.last_id"
    " WHERE held.last_id < excluded.last_id"
)

_INSERT_CHANGES: Final = f"INSERT INTO message_changes ({_CHANGE}) VALUES {{}} ON CONFLICT DO NOTHING"  # noqa: S608
_EDIT: Final = (
    "UPDATE messages SET edit_id = %s, edited_body = %s, edited_mentions = %s"
    " WHERE conversation_id = %s AND message_id = %s AND (edit_id IS NULL OR edit_id < %s)"
)
_DELETE: Final = (
    "UPDATE messages SET delete_id = %s"
    " WHERE conversation_id = %s AND message_id = %s AND (delete_id IS NULL OR delete_id < %s)"
)
_TAKEDOWN: Final = (
    "UPDATE messages SET takedown_id = %s, withheld = %s"
    " WHERE conversation_id = %s AND message_id = %s AND (takedown_id IS NULL OR takedown_id < %s)"
)
_REACT: Final = (
    "INSERT INTO message_reactions AS held (conversation_id, target_id, emoji, user_id, change_id, is_on)"
    " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (conversation_id, target_id, emoji, user_id)"
    " DO UPDATE SET change_id = excluded.change_id, is_on = excluded.is_on WHERE held.change_id < excluded.change_id"
)
_PIN: Final = (
    "INSERT INTO message_pins AS held (conversation_id, target_id, change_id, user_id, is_on)"
    " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (conversation_id, target_id)"
    " DO UPDATE SET change_id = excluded.change_id, user_id = excluded.user_id, is_on = excluded.is_on"
    " WHERE held.change_id < excluded.change_id"
)
_PINS: Final = (
    "SELECT p.target_id, p.change_id, p.user_id FROM message_pins p CROSS JOIN messages t"
    " WHERE p.conversation_id = %s AND p.is_on AND t.conversation_id = p.conversation_id AND t.message_id = p.target_id"
    " AND t.delete_id IS NULL AND NOT t.withheld AND (t.takedown_id IS NULL OR t.takedown_id < p.change_id)"
    " ORDER BY p.change_id DESC"
)
_TALLIES: Final = (
    "WITH k (c, m) AS (VALUES {})"
    " SELECT conversation_id, target_id, emoji, user_id, total, place FROM ("
    "SELECT t.conversation_id, t.target_id, t.emoji, t.user_id, COUNT(*) OVER one AS total,"
    " MIN(t.change_id) OVER one AS first, ROW_NUMBER() OVER (one ORDER BY t.change_id) AS place"
    " FROM k CROSS JOIN message_reactions t WHERE t.conversation_id = k.c AND t.target_id = k.m AND t.is_on"
    " WINDOW one AS (PARTITION BY t.conversation_id, t.target_id, t.emoji)) AS seen"
    " WHERE place <= %s OR user_id = %s ORDER BY first, place"
)

#: What was edited after ``before``, and is itself older.
_EDITED_LATER: Final = "SELECT 1 FROM messages WHERE conversation_id = %s AND message_id < %s AND edit_id >= %s LIMIT 1"
_NEWEST_EDIT: Final = "SELECT MAX(edit_id) FROM messages WHERE conversation_id = %s AND message_id IN {}"
_BLANK: Final = (
    "UPDATE messages SET body = %s, media_refs = %s, mentions = NULL, edited_mentions = NULL,"
    " edited_body = CASE WHEN edit_id IS NULL THEN NULL ELSE %s END WHERE conversation_id = %s AND message_id IN {}"
)
_BLANK_EDITS: Final = (
    "UPDATE message_changes SET body = %s, mentions = NULL"
    " WHERE conversation_id = %s AND change_id BETWEEN %s AND %s AND target_id IN {}"
)
#: Table, and the column with the id that decides.
_COPIES: Final = (
    ("message_reactions", "target_id"),
    ("message_pins", "target_id"),
    ("receipts", "message_id"),
    ("messages", "message_id"),
)


def _outside(column: str, keep: Kept) -> tuple[str, list[int]]:
    """Return the condition, to be added to others, that an id is in none of the ranges, and its parameters."""
    return f" AND NOT ({column} BETWEEN %s AND %s)" * len(keep), [end for span in keep for end in span]


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


def _packed(mentions: Sequence[UserId]) -> str | None:
    return f" {' '.join(map(str, mentions))} " if mentions else None


def _unpacked(packed: str | None) -> list[UserId]:
    return [UserId(int(user)) for user in packed.split()] if packed else []


def _by_chain(
    refs: Sequence[tuple[ConversationId, MessageId]],
) -> dict[tuple[ConversationId, int], tuple[MessageId, MessageId]]:
    """Return the first and the last of the rows of each chain."""
    ends: dict[tuple[ConversationId, int], tuple[MessageId, MessageId]] = {}
    for conversation, row in refs:
        chain = conversation, sub_of(row)
        first, last = ends.get(chain, (row, row))
        ends[chain] = min(first, row), max(last, row)
    return ends


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
        forwarded=bool(row[9]),
        mentions=_unpacked(row[10]),
        edit_id=None if row[11] is None else MessageId(row[11]),
        edited_body="" if row[12] is None else bytes(row[12]).decode(),
        delete_id=None if row[13] is None else MessageId(row[13]),
        takedown_id=None if row[14] is None else MessageId(row[14]),
        withheld=bool(row[15]),
        edited_mentions=_unpacked(row[16]),
    )


def _change(row: Sequence[Any]) -> StoredChange:
    return StoredChange(
        conversation_id=ConversationId(row[0]),
        change_id=MessageId(row[1]),
        target_id=MessageId(row[2]),
        actor_id=UserId(row[3]),
        client_msg_id=bytes(row[4]),
        kind=MessageChangeKind(row[5]),
        body=bytes(row[6]).decode(),
        emoji=row[7],
        on=bool(row[8]),
        count=row[9],
        prev_id=None if row[10] is None else MessageId(row[10]),
        mentions=_unpacked(row[11]),
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
                    " WHERE t.conversation_id = k.c AND t.sender_id = k.s AND t.client_msg_id = k.m"
                    " UNION ALL SELECT k.c, k.s, k.m, t.change_id, t.prev_id FROM k CROSS JOIN message_changes t"
                    " WHERE t.conversation_id = k.c AND t.actor_id = k.s AND t.client_msg_id = k.m",
                    [cell for key in chunk for cell in (key.conversation_id, key.sender_id, key.client_msg_id)],
                )
                for conversation, sender, client_msg_id, message, prev in cursor.fetchall():
                    found[DedupeKey(conversation, sender, bytes(client_msg_id))] = Placed(message, prev)
        return found

    def upsert(
        self,
        messages: Sequence[StoredMessage],
        *,
        changes: Sequence[StoredChange] = (),
        placed: Mapping[DedupeKey, Placed] | None = None,
    ) -> None:
        """Store messages, fold changes in, move the last ids forward: one transaction.

        The unique keys tell copies, whatever was ``placed``.

        Raises:
            Overtaken: a copy of something that was not ``placed`` is there by now; nothing was written.
        """
        if not messages and not changes:
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
                m.forwarded,
                _packed(m.mentions),
            )
            for m in messages
        ]
        with transaction.atomic(using=self._using), connections[self._using].cursor() as cursor:
            stored = messages
            if _execute_many(cursor, _INSERT_MESSAGES, rows) != len(rows):
                # Some were there before, or lost to an earlier copy with the same client id: only
                # what is in the table may count as the newest.
                refs = [(m.conversation_id, m.message_id) for m in messages]
                present = self._present(cursor, "messages", "message_id", refs)
                stored = [m for m in messages if (m.conversation_id, m.message_id) in present]
                if placed is not None and any(
                    DedupeKey(m.conversation_id, m.sender_id, m.client_msg_id) not in placed
                    for m in messages
                    if (m.conversation_id, m.message_id) not in present
                ):
                    raise Overtaken
            newest: dict[ConversationId, MessageId] = {}
            for m in stored:
                if newest.get(m.conversation_id, 0) < m.message_id:
                    newest[m.conversation_id] = m.message_id
            stored_changes = self._fold(cursor, changes)
            rows_of = _by_chain([*((m.conversation_id, m.message_id) for m in stored), *stored_changes])
            if connections[self._using].features.has_select_for_update:
                # In id order: two routers that overlap lock the rows in the same order.
                for chunk in _chunks(sorted({conversation for conversation, _ in rows_of})):
                    cursor.execute(_LOCK.format(_values(1, len(chunk))), chunk)
            self._move(cursor, newest, rows_of)

    @staticmethod
    def _move(
        cursor: Any,
        newest: Mapping[ConversationId, MessageId],
        rows_of: Mapping[tuple[ConversationId, int], tuple[MessageId, MessageId]],
    ) -> None:
        """Move the newest messages of conversations, and the newest rows of their chains, forward."""
        first_chains = {conversation: last for (conversation, sub), (_, last) in rows_of.items() if sub == 0}
        both = {it for it in newest.items() if it in first_chains.items()}
        _execute_many(cursor, _MOVE_LAST, sorted(both))
        _execute_many(cursor, _MOVE_LAST_MESSAGE, sorted(newest.items() - both))
        _execute_many(cursor, _MOVE_LAST_ROW, sorted(first_chains.items() - both))
        _execute_many(cursor, _MOVE_CHAIN, sorted((*chain, *ends) for chain, ends in rows_of.items() if chain[1] != 0))

    def _fold(self, cursor: Any, changes: Sequence[StoredChange]) -> list[tuple[ConversationId, MessageId]]:
        """Store changes and fold them into their targets; return those that are there now."""
        if not changes:
            return []
        rows = [
            (
                c.conversation_id,
                c.change_id,
                c.target_id,
                c.actor_id,
                c.client_msg_id,
                c.kind.value,
                c.body.encode(),
                c.emoji,
                c.on,
                c.count,
                c.prev_id,
                _packed(c.mentions),
            )
            for c in changes
        ]
        stored = changes
        if _execute_many(cursor, _INSERT_CHANGES, rows) != len(rows):
            refs = [(c.conversation_id, c.change_id) for c in changes]
            present = self._present(cursor, "message_changes", "change_id", refs)
            stored = [c for c in changes if (c.conversation_id, c.change_id) in present]
        for c in stored:
            match c.kind:
                case MessageChangeKind.EDIT:
                    said = [c.change_id, c.body.encode(), _packed(c.mentions)]
                    cursor.execute(_EDIT, [*said, c.conversation_id, c.target_id, c.change_id])
                case MessageChangeKind.DELETE:
                    cursor.execute(_DELETE, [c.change_id, c.conversation_id, c.target_id, c.change_id])
                case MessageChangeKind.TAKEDOWN | MessageChangeKind.RESTORE:
                    on = c.kind is MessageChangeKind.TAKEDOWN
                    cursor.execute(_TAKEDOWN, [c.change_id, on, c.conversation_id, c.target_id, c.change_id])
                case MessageChangeKind.REACT:
                    cursor.execute(_REACT, [c.conversation_id, c.target_id, c.emoji, c.actor_id, c.change_id, c.on])
                case MessageChangeKind.PIN:
                    cursor.execute(_PIN, [c.conversation_id, c.target_id, c.change_id, c.actor_id, c.on])
        return [(c.conversation_id, c.change_id) for c in stored]

    @staticmethod
    def _present(cursor: Any, table: str, column: str, refs: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
        present: set[tuple[int, int]] = set()
        for chunk in _chunks(refs):
            cursor.execute(
                f"WITH k (c, m) AS (VALUES {_values(len(chunk), 2)})"  # noqa: S608
                f" SELECT t.conversation_id, t.{column} FROM k CROSS JOIN {table} t"
                f" WHERE t.conversation_id = k.c AND t.{column} = k.m",
                [cell for ref in chunk for cell in ref],
            )
            present.update((row[0], row[1]) for row in cursor.fetchall())
        return present

    def get(
        self, refs: Sequence[tuple[ConversationId, MessageId]]
    ) -> dict[tuple[ConversationId, MessageId], StoredMessage]:
        """Return those that exist."""
        columns = ", ".join("t." + name for name in _READ.split(", "))
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
            f"SELECT {_READ} FROM messages WHERE {where} ORDER BY message_id DESC LIMIT %s",  # noqa: S608
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
            f"SELECT {_READ} FROM messages WHERE {where} ORDER BY message_id LIMIT %s",  # noqa: S608
            [*params, limit],
        )

    def newest_changes(
        self,
        conversation_id: ConversationId,
        *,
        after: MessageId = MessageId(0),
        upto: MessageId | None = None,
        limit: int,
    ) -> list[StoredChange]:
        """Return the newest ``limit`` changes with ``after < id <= upto``, newest first."""
        where, params = "conversation_id = %s AND change_id > %s", [conversation_id, after]
        if upto is not None:
            where, params = where + " AND change_id <= %s", [*params, upto]
        with connections[self._using].cursor() as cursor:
            cursor.execute(
                f"SELECT {_CHANGE} FROM message_changes WHERE {where} ORDER BY change_id DESC LIMIT %s",  # noqa: S608
                [*params, limit],
            )
            return [_change(row) for row in cursor.fetchall()]

    def reactions(
        self, refs: Sequence[tuple[ConversationId, MessageId]], *, viewer: UserId
    ) -> dict[tuple[ConversationId, MessageId], list[Tally]]:
        """Return the reactions to those messages that have any; the emoji that came first, first."""
        found: dict[tuple[ConversationId, MessageId], dict[str, Tally]] = {}
        with connections[self._using].cursor() as cursor:
            for chunk in _chunks(refs):
                cursor.execute(
                    _TALLIES.format(_values(len(chunk), 2)),
                    [*(cell for ref in chunk for cell in ref), TALLY_USERS, viewer],
                )
                for conversation, target, emoji, user, total, place in cursor.fetchall():
                    tallies = found.setdefault((conversation, target), {})
                    held = tallies.get(emoji, Tally(emoji, total, False, ()))
                    named = (*held.users, UserId(user)) if place <= TALLY_USERS else held.users
                    tallies[emoji] = Tally(emoji, total, held.mine or user == viewer, named)
        return {ref: list(tallies.values()) for ref, tallies in found.items()}

    def pins(self, conversation_id: ConversationId) -> list[Pin]:
        """Return what is pinned in a conversation, the newest pin first."""
        with connections[self._using].cursor() as cursor:
            cursor.execute(_PINS, [conversation_id])
            return [Pin(MessageId(row[0]), MessageId(row[1]), UserId(row[2])) for row in cursor.fetchall()]

    def count_unread(
        self, user_id: UserId, since: Mapping[ConversationId, MessageId], *, cap: int
    ) -> dict[ConversationId, Unread]:
        """Return, per conversation, how many text messages of others are newer than the mark; at most ``cap``.

        And whether one of those counted mentions the user now, by name or with everybody.
        """
        counts: dict[ConversationId, Unread] = {}
        mine = [_packed([user_id]), _packed([EVERYBODY])]
        with connections[self._using].cursor() as cursor:
            for chunk in _chunks(list(since.items())):
                cursor.execute(
                    f"WITH k (c, mark) AS (VALUES {_values(len(chunk), 2)})"  # noqa: S608
                    # Both numbers in one, for a subquery has one: twice how many there are, and whether one mentions.
                    " SELECT k.c, (SELECT 2 * COUNT(*) + COALESCE(MAX(CASE WHEN readable"
                    " AND (named LIKE %s OR named LIKE %s) THEN 1 ELSE 0 END), 0)"
                    " FROM (SELECT t.delete_id IS NULL AND NOT t.withheld AS readable,"
                    " CASE WHEN t.edit_id IS NULL THEN t.mentions ELSE t.edited_mentions END AS named FROM messages t"
                    " WHERE t.conversation_id = k.c AND t.message_id > k.mark AND t.sender_id <> %s AND t.kind = 'text'"
                    " LIMIT %s) AS newer) FROM k",
                    [*(cell for pair in chunk for cell in pair), *(f"%{one}%" for one in mine), user_id, cap],
                )
                counts.update((ConversationId(row[0]), Unread(row[1] // 2, row[1] % 2 == 1)) for row in cursor)
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

    # --- retention ----------------------------------------------------------------------------

    def expired(self, conversation_id: ConversationId, *, before: MessageId, keep: Kept, limit: int) -> Expired:
        """Return which messages with ids below ``before`` go next."""
        outside, spans = _outside("message_id", keep)
        with connections[self._using].cursor() as cursor:
            cursor.execute(
                "SELECT message_id, media_refs FROM messages WHERE conversation_id = %s AND message_id < %s"  # noqa: S608
                f"{outside} ORDER BY message_id LIMIT %s",
                [conversation_id, before, *spans, limit + 1],
            )
            rows = cursor.fetchall()
            more = len(rows) > limit
            upto = MessageId(rows[limit][0]) if more else before
            cursor.execute(
                "SELECT COUNT(*) FROM messages WHERE conversation_id = %s AND message_id < %s", [conversation_id, upto]
            )
            there: int = cursor.fetchone()[0]
        due = rows[:limit]
        media = [ref for _, refs in due for ref in (json.loads(refs) if isinstance(refs, str) else refs)]
        return Expired(upto, len(due), there - len(due), tuple(media), more)

    def delete_before(self, conversation_id: ConversationId, *, before: MessageId, keep: Kept) -> None:
        """Delete what has an id below ``before`` and is not in ``keep``, in one transaction."""
        with transaction.atomic(using=self._using), connections[self._using].cursor() as cursor:
            change_outside, spans = _outside("change_id", keep)
            target_outside, _ = _outside("target_id", keep)
            cursor.execute(_EDITED_LATER, [conversation_id, before, before])
            if cursor.fetchone() is not None:
                cursor.execute(
                    "UPDATE message_changes SET body = %s"  # noqa: S608
                    " WHERE conversation_id = %s AND change_id >= %s AND target_id < %s"
                    f"{change_outside}{target_outside}",
                    [b"", conversation_id, before, before, *spans, *spans],
                )
            cursor.execute(
                "DELETE FROM message_changes WHERE conversation_id = %s AND change_id < %s"  # noqa: S608
                f"{change_outside}{target_outside}",
                [conversation_id, before, *spans, *spans],
            )
            for table, column in _COPIES:
                outside, _ = _outside(column, keep)
                cursor.execute(
                    f"DELETE FROM {table} WHERE conversation_id = %s AND {column} < %s{outside}",  # noqa: S608
                    [conversation_id, before, *spans],
                )

    def blank(self, conversation_id: ConversationId, message_ids: Sequence[MessageId]) -> None:
        """Take out of these messages, and of their edits, what they say; one transaction."""
        with transaction.atomic(using=self._using), connections[self._using].cursor() as cursor:
            for chunk in _chunks(list(message_ids)):
                among = _values(1, len(chunk))
                cursor.execute(_NEWEST_EDIT.format(among), [conversation_id, *chunk])
                (newest,) = cursor.fetchone()
                if newest is not None:
                    # A change comes after what it changes.
                    places = [conversation_id, min(chunk), newest]
                    cursor.execute(_BLANK_EDITS.format(among), [b"", *places, *chunk])
                cursor.execute(_BLANK.format(among), [b"", "[]", b"", conversation_id, *chunk])

    def _select(self, sql: str, params: Sequence[Any]) -> list[StoredMessage]:
        with connections[self._using].cursor() as cursor:
            cursor.execute(sql, params)
            return [_message(row) for row in cursor.fetchall()]
