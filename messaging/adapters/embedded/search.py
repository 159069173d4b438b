"""SearchIndex in one SQLite file with FTS5, the default (docs/decisions/0060).

``entries`` holds what a message is, ``words`` its words under the same row number. Words come folded and cut from
``domain.words``, so SQLite's own tokeniser has only to part them at the blanks. Gateway and worker are processes of
their own: each call opens the file, and SQLite's write lock orders them.
"""

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from messaging.domain.ids import ConversationId, MessageId
from messaging.domain.search import Has, Query, Scope, Term
from messaging.ports import SEARCH_TIMEOUT_S, MessageRef, SearchEntry, SearchUnavailable

_BITS: Final = {Has.LINK: 1, Has.FILE: 2, Has.IMAGE: 4}
#: Steps of SQLite's machine between two looks at the clock.
_STEPS: Final = 10_000
_LOCK_TIMEOUT_S: Final = 10.0

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY, conversation_id INTEGER NOT NULL, message_id INTEGER NOT NULL,
    sender_id INTEGER NOT NULL, has INTEGER NOT NULL, UNIQUE (conversation_id, message_id)
);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (folded, tokenize = 'ascii');
"""

#: Of one search, in memory: what its user may see of which conversation.
_SCOPE: Final = """
PRAGMA temp_store = MEMORY;
CREATE TEMP TABLE scope (c INTEGER PRIMARY KEY, floor INTEGER NOT NULL, ceiling INTEGER);
"""

_PUT: Final = """
INSERT INTO entries (conversation_id, message_id, sender_id, has) VALUES (?, ?, ?, ?)
ON CONFLICT (conversation_id, message_id) DO UPDATE SET sender_id = excluded.sender_id, has = excluded.has
RETURNING id
"""


class SqliteSearchIndex:
    """See the module."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._made = False

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self._path, timeout=_LOCK_TIMEOUT_S, isolation_level=None)
            try:
                connection.execute("PRAGMA synchronous=FULL")
                if not self._made:
                    connection.execute("PRAGMA journal_mode=WAL")
                    connection.executescript(_SCHEMA)
                    self._made = True
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise SearchUnavailable(f"the index cannot be used: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def put(self, entries: Sequence[SearchEntry]) -> None:
        """Store entries in one transaction."""
        if not entries:
            return
        with self._writing() as connection:
            for entry in entries:
                bits = sum(_BITS[it] for it in entry.has)
                row = (entry.conversation_id, entry.message_id, entry.sender_id, bits)
                (number,) = connection.execute(_PUT, row).fetchone()
                words = " ".join(entry.words)
                connection.execute("INSERT OR REPLACE INTO words (rowid, folded) VALUES (?, ?)", (number, words))

    def remove(self, refs: Sequence[MessageRef]) -> None:
        """Delete entries in one transaction."""
        if refs:
            with self._writing() as connection:
                for ref in refs:
                    self._delete(connection, "conversation_id = ? AND message_id = ?", ref)

    def forget(self, conversation_id: ConversationId, *, before: MessageId | None = None) -> None:
        """Delete the entries of a conversation, or the older ones of them, in one transaction."""
        with self._writing() as connection:
            if before is None:
                self._delete(connection, "conversation_id = ?", (conversation_id,))
            else:
                self._delete(connection, "conversation_id = ? AND message_id < ?", (conversation_id, before))

    @staticmethod
    def _delete(connection: sqlite3.Connection, where: str, values: tuple[int, ...]) -> None:
        connection.execute(f"DELETE FROM words WHERE rowid IN (SELECT id FROM entries WHERE {where})", values)  # noqa: S608
        connection.execute(f"DELETE FROM entries WHERE {where}", values)  # noqa: S608

    def find(
        self, scopes: Sequence[Scope], query: Query, *, before: MessageRef | None = None, limit: int
    ) -> list[MessageRef]:
        """Return the newest messages that meet the query."""
        if not scopes:
            return []
        sql, values = _select(query, before, limit)
        with self._open() as connection:
            connection.executescript(_SCOPE)
            shown = ((it.conversation_id, it.floor, it.ceiling) for it in scopes)
            connection.executemany("INSERT INTO scope VALUES (?, ?, ?)", shown)
            until = time.monotonic() + SEARCH_TIMEOUT_S
            connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
            rows = connection.execute(sql, values).fetchall()
        return [(ConversationId(conversation), MessageId(message)) for conversation, message in rows]


def _select(query: Query, before: MessageRef | None, limit: int) -> tuple[str, list[Any]]:
    values: list[Any] = []
    # In this order: somebody's conversations hold fewer messages than all do, and the words are in fewer still.
    tables, where = "scope s CROSS JOIN entries e ON e.conversation_id = s.c", ["e.message_id > s.floor"]
    if query.terms:
        tables = "words w CROSS JOIN entries e ON e.id = w.rowid CROSS JOIN scope s ON s.c = e.conversation_id"
        where.append("words MATCH ?")
        values.append(" AND ".join(map(_phrase, query.terms)))
    where.append("(s.ceiling IS NULL OR e.message_id <= s.ceiling) AND e.message_id > ?")
    values.append(query.after)
    if query.before is not None:
        where.append("e.message_id < ?")
        values.append(query.before)
    if before is not None:
        where.append("(e.message_id, e.conversation_id) < (?, ?)")
        values += [before[1], before[0]]
    if query.sender is not None:
        where.append("e.sender_id = ?")
        values.append(query.sender)
    if query.without:
        where.append("e.sender_id NOT IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(sorted(query.without)))
    for has in query.has:
        where.append(f"e.has & {_BITS[has]}")
    sql = (
        f"SELECT e.conversation_id, e.message_id FROM {tables} WHERE {' AND '.join(where)}"  # noqa: S608
        " ORDER BY e.message_id DESC, e.conversation_id DESC LIMIT ?"
    )
    return sql, [*values, limit]


def _phrase(term: Term) -> str:
    # Words are letters, digits and marks: there is nothing in them that FTS5 could take for syntax.
    return f'"{" ".join(term.words)}"' + (" *" if term.prefix else "")
