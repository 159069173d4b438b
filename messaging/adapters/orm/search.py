"""SearchIndex in PostgreSQL: a tsvector of our own words, and a GIN index (docs/decisions/0060).

The words come folded and cut from ``domain.words``; PostgreSQL's own parser, which knows no Chinese, has no part in it.
Each vector holds its conversation as a word, too, so that where somebody searches in one, or in a few, the index itself
finds the messages that are there *and* have the words. The table is made by the migrations of ``messaging.search``.
"""

from collections.abc import Sequence
from typing import Any, Final

from django.db import connections, transaction

from messaging.domain.ids import ConversationId, MessageId
from messaging.domain.search import Has, Query, Scope, Term
from messaging.ports import SEARCH_TIMEOUT_S, MessageRef, SearchEntry

#: Conversations that the index is asked for with the words. Of more, it costs less to look through the words' messages.
_FEW: Final = 10
_BITS: Final = {Has.LINK: 1, Has.FILE: 2, Has.IMAGE: 4}

_PUT: Final = """
INSERT INTO search_entries (conversation_id, message_id, sender_id, has, words) VALUES (%s, %s, %s, %s, %s::tsvector)
ON CONFLICT (conversation_id, message_id)
DO UPDATE SET sender_id = excluded.sender_id, has = excluded.has, words = excluded.words
"""
_REMOVE: Final = """
DELETE FROM search_entries USING unnest(%s::bigint[], %s::bigint[]) AS gone (c, m)
WHERE conversation_id = gone.c AND message_id = gone.m
"""


class PostgresSearchIndex:
    """See the module. ``using`` is an alias of ``DATABASES``."""

    def __init__(self, using: str = "default") -> None:
        self._using = using

    def put(self, entries: Sequence[SearchEntry]) -> None:
        """Store entries in one transaction."""
        if not entries:
            return
        # In one order: two workers that overlap lock the rows in the same one.
        rows = [
            (it.conversation_id, it.message_id, it.sender_id, sum(_BITS[has] for has in it.has), _vector(it))
            for it in sorted(entries, key=lambda it: (it.conversation_id, it.message_id))
        ]
        with transaction.atomic(using=self._using), connections[self._using].cursor() as cursor:
            cursor.executemany(_PUT, rows)

    def remove(self, refs: Sequence[MessageRef]) -> None:
        """Delete entries in one statement."""
        if refs:
            ordered = sorted(refs)
            with connections[self._using].cursor() as cursor:
                cursor.execute(_REMOVE, [[it[0] for it in ordered], [it[1] for it in ordered]])

    def forget(self, conversation_id: ConversationId, *, before: MessageId | None = None) -> None:
        """Delete the entries of a conversation, or the older ones of them."""
        where, values = "conversation_id = %s", [int(conversation_id)]
        if before is not None:
            where, values = f"{where} AND message_id < %s", [*values, before]
        with connections[self._using].cursor() as cursor:
            cursor.execute(f"DELETE FROM search_entries WHERE {where}", values)  # noqa: S608

    def find(
        self, scopes: Sequence[Scope], query: Query, *, before: MessageRef | None = None, limit: int
    ) -> list[MessageRef]:
        """Return the newest messages that meet the query."""
        if not scopes:
            return []
        sql, values = _select(scopes, query, before, limit)
        with transaction.atomic(using=self._using), connections[self._using].cursor() as cursor:
            # Until the end of this transaction. Compiling a query would take longer than it runs.
            cursor.execute(f"SET LOCAL statement_timeout = {int(SEARCH_TIMEOUT_S * 1000)}; SET LOCAL jit = off")
            cursor.execute(sql, values)
            return [(ConversationId(conversation), MessageId(message)) for conversation, message in cursor.fetchall()]


def _select(scopes: Sequence[Scope], query: Query, before: MessageRef | None, limit: int) -> tuple[str, list[Any]]:
    values: list[Any] = [
        [it.conversation_id for it in scopes],
        [it.floor for it in scopes],
        [it.ceiling for it in scopes],
        query.after,
    ]
    where = ["e.message_id > s.floor AND (s.ceiling IS NULL OR e.message_id <= s.ceiling) AND e.message_id > %s"]
    if query.terms:
        where.append("e.words @@ %s::tsquery")
        values.append(_asked(scopes, query.terms))
    if query.before is not None:
        where.append("e.message_id < %s")
        values.append(query.before)
    if before is not None:
        where.append("(e.message_id, e.conversation_id) < (%s, %s)")
        values += [before[1], before[0]]
    if query.sender is not None:
        where.append("e.sender_id = %s")
        values.append(query.sender)
    if query.without:
        where.append("e.sender_id <> ALL (%s::bigint[])")
        values.append(sorted(query.without))
    for has in query.has:
        where.append(f"e.has & {_BITS[has]} <> 0")
    sql = (
        "SELECT e.conversation_id, e.message_id"  # noqa: S608
        " FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS s (c, floor, ceiling)"
        f" JOIN search_entries e ON e.conversation_id = s.c WHERE {' AND '.join(where)}"
        " ORDER BY e.message_id DESC, e.conversation_id DESC LIMIT %s"
    )
    return sql, [*values, limit]


def _place(conversation_id: ConversationId) -> str:
    """Return the word that stands for a conversation; no text has one with this sign."""
    return f"'@{conversation_id}'"


def _vector(entry: SearchEntry) -> str:
    """Return a tsvector as text. Words are letters, digits and marks, so that nothing in them has to be quoted."""
    places: dict[str, list[str]] = {}
    for place, word in enumerate(entry.words, start=1):
        places.setdefault(word, []).append(str(place))
    return " ".join([_place(entry.conversation_id), *(f"'{word}':{','.join(at)}" for word, at in places.items())])


def _asked(scopes: Sequence[Scope], terms: Sequence[Term]) -> str:
    """Return a tsquery as text: all terms, and one of the conversations where these are few."""
    phrases = [" <-> ".join(f"'{word}'" for word in term.words) + (":*" if term.prefix else "") for term in terms]
    parts = [f"({phrase})" for phrase in phrases]
    if len(scopes) <= _FEW:
        parts.append(f"({' | '.join(_place(scope.conversation_id) for scope in scopes)})")
    return " & ".join(parts)
