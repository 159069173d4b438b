"""How messages leave Cassandra: a bucket at a time, as a whole where nothing in it is kept (docs/decisions/0044).

A bucket of which nothing is kept, and which is over as a whole, goes as a partition: one tombstone, which compaction
drops together with all it covers. Otherwise each stretch between what is kept is one range. Rows alone are deleted only
of changes where something is kept, and of tables that lie in another order: receipts by message, the index by user.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from messaging.adapters.cassandra.layout import BUCKET_MS, bucket_of, written_us
from messaging.adapters.cassandra.session import CassandraSession, Work, chunks
from messaging.domain.ids import TIME_SHIFT, ConversationId, MessageId
from messaging.ports import Expired, Kept

_BUCKETS: Final = (
    "SELECT bucket FROM {ks}.message_buckets WHERE conversation_id = ? AND bucket <= ? ORDER BY bucket ASC"
)
_BUCKETS_BETWEEN: Final = (
    "SELECT bucket FROM {ks}.message_buckets WHERE conversation_id = ? AND bucket >= ? AND bucket <= ?"
)
_MESSAGES: Final = (
    "SELECT message_id, media_refs, edit, sender_id FROM {ks}.messages"
    " WHERE conversation_id = ? AND bucket = ? AND message_id < ? ORDER BY message_id ASC"
)
_CHANGES: Final = (
    "SELECT change_id, target_id FROM {ks}.message_changes WHERE conversation_id = ? AND bucket = ? AND change_id < ?"
)
_LATER_CHANGES: Final = (
    "SELECT change_id, target_id FROM {ks}.message_changes"
    " WHERE conversation_id = ? AND bucket = ? AND change_id >= ? AND change_id <= ?"
)

_EMPTY_CHANGE: Final = (
    "UPDATE {ks}.message_changes SET body = ? WHERE conversation_id = ? AND bucket = ? AND change_id = ?"
)
_SAID: Final = (
    "SELECT message_id, edit, sender_id FROM {ks}.messages WHERE conversation_id = ? AND bucket = ? AND message_id IN ?"
)
_BLANK: Final = (
    "UPDATE {ks}.messages USING TIMESTAMP ? SET body = ?, media_refs = ?, mentions = ?"
    " WHERE conversation_id = ? AND bucket = ? AND message_id = ?"
)
_BLANK_EDIT: Final = (
    "UPDATE {ks}.messages USING TIMESTAMP ? SET edit = ?, edit_mentions = ?"
    " WHERE conversation_id = ? AND bucket = ? AND message_id = ?"
)
_BLANK_CHANGE: Final = (
    "UPDATE {ks}.message_changes USING TIMESTAMP ? SET body = ?, mentions = ?"
    " WHERE conversation_id = ? AND bucket = ? AND change_id = ?"
)
_PINS: Final = "SELECT target_id FROM {ks}.message_pins WHERE conversation_id = ? AND target_id < ?"
_DROP_PIN: Final = "DELETE FROM {ks}.message_pins WHERE conversation_id = ? AND target_id = ?"
_DROP_RECEIPTS: Final = "DELETE FROM {ks}.receipts WHERE conversation_id = ? AND message_id = ?"
_DROP_CHANGE: Final = "DELETE FROM {ks}.message_changes WHERE conversation_id = ? AND bucket = ? AND change_id = ?"
_DROP_BUCKET: Final = "DELETE FROM {ks}.message_buckets WHERE conversation_id = ? AND bucket = ?"
#: Message ids in one IN, within one partition.
_IDS: Final = 100
#: Tables in the bucket of the message, whose second key is its id; and changes, in the bucket of theirs.
_BY_TARGET: Final = (("message_reactions", "target_id"), ("messages", "message_id"))
_OWN: Final = ("message_changes", "change_id")


def _first_id(bucket: int) -> int:
    return (bucket * BUCKET_MS) << TIME_SHIFT


def stretches(first: int, before: int, keep: Kept) -> Iterator[tuple[int, int]]:
    """Yield what of ``first <= id < before`` is not kept, as such pairs again."""
    for begin, end in sorted(keep):
        if begin > first:
            yield first, min(begin, before)
        first = max(first, end + 1)
        if first >= before:
            return
    yield first, before


def _dropping(
    table: str, column: str, conversation: ConversationId, bucket: int, ranges: Iterable[tuple[int, int]]
) -> Iterator[Work]:
    """Yield what deletes these ranges of one partition; all of it, where the range is all."""
    whole = (_first_id(bucket), _first_id(bucket + 1))
    for first, before in ranges:
        if (first, before) == whole:
            yield f"DELETE FROM {{ks}}.{table} WHERE conversation_id = ? AND bucket = ?", (conversation, bucket)
        else:
            yield (
                f"DELETE FROM {{ks}}.{table}"
                f" WHERE conversation_id = ? AND bucket = ? AND {column} >= ? AND {column} < ?",
                (conversation, bucket, first, before),
            )


def _now_us(number: int) -> int:
    """Return the write timestamp (Unix µs) of something done now to what a record wrote, whatever its log's clock."""
    return max(time.time_ns() // 1000, written_us(number) + 1)


def _kept(number: int, keep: Kept) -> bool:
    return any(first <= number <= last for first, last in keep)


class Expiry:
    """Finds and deletes what is over. Called from threads, which share the session."""

    def __init__(self, session: CassandraSession) -> None:
        self._session = session

    def expired(self, conversation: ConversationId, before: MessageId, keep: Kept, limit: int) -> Expired:
        """Return which messages with ids below ``before`` go next."""
        due, held = 0, 0
        media: list[str] = []
        for bucket in self._buckets(conversation, before):
            for number, refs, _, sender in self._session.rows(_MESSAGES, (conversation, bucket, before)):
                if _kept(number, keep):
                    held += sender is not None
                elif due == limit:
                    return Expired(MessageId(number), due, held, tuple(media), True)
                elif sender is not None:
                    due += 1
                    media += refs or ()
        return Expired(before, due, held, tuple(media), False)

    def delete_before(self, conversation: ConversationId, before: MessageId, keep: Kept) -> None:
        """Delete what has an id below ``before`` and is not in ``keep``; messages last, since they lead to the rest."""
        pinned = [number for (number,) in self._session.rows(_PINS, (conversation, before))]
        self._session.write((_DROP_PIN, (conversation, number)) for number in pinned if not _kept(number, keep))
        for bucket in self._buckets(conversation, before):
            self._delete_in(conversation, bucket, before, keep)

    def blank(self, conversation: ConversationId, message_ids: Iterable[MessageId]) -> None:
        """Take out of these messages, and of their edits, what they say; of the edits first, which these lead to."""
        wanted: dict[int, list[MessageId]] = {}
        for number in message_ids:
            wanted.setdefault(bucket_of(number), []).append(number)
        for bucket, numbers in wanted.items():
            for chunk in chunks(numbers, _IDS):
                rows = self._session.rows(_SAID, (conversation, bucket, list(chunk)))
                # One without a sender is what a fold left that came after its target went.
                there = {number: edit for number, edit, sender in rows if sender is not None}
                edited = {number: edit[0] for number, edit in there.items() if edit is not None}
                if edited:
                    self._session.write(self._blanking_edits(conversation, edited))
                self._session.write(self._blanking(conversation, bucket, there))

    @staticmethod
    def _blanking(conversation: ConversationId, bucket: int, there: Mapping[int, Any]) -> Iterator[Work]:
        for number, edit in there.items():
            row = (conversation, bucket, number)
            yield _BLANK, (_now_us(number), b"", None, None, *row)
            if edit is not None:
                yield _BLANK_EDIT, (_now_us(edit[0]), (edit[0], b""), None, *row)

    def _blanking_edits(self, conversation: ConversationId, edited: Mapping[int, int]) -> Iterator[Work]:
        first, last = min(edited), max(edited.values())
        for (bucket,) in self._session.rows(_BUCKETS_BETWEEN, (conversation, bucket_of(first), bucket_of(last))):
            for change, target in self._session.rows(_LATER_CHANGES, (conversation, bucket, first, last)):
                if target in edited:
                    yield _BLANK_CHANGE, (_now_us(change), b"", None, conversation, bucket, change)

    def _buckets(self, conversation: ConversationId, before: int) -> list[int]:
        return [bucket for (bucket,) in self._session.rows(_BUCKETS, (conversation, bucket_of(before)))]

    def _delete_in(self, conversation: ConversationId, bucket: int, before: MessageId, keep: Kept) -> None:
        rows = self._session.rows(_MESSAGES, (conversation, bucket, before))
        going = {number: edit for number, _, edit, _ in rows if not _kept(number, keep)}
        # A change goes with its message or after it, so nothing is left to look for where both are gone.
        changes = [
            change
            for change, target in self._session.rows(_CHANGES, (conversation, bucket, before))
            if not _kept(change, keep) and not _kept(target, keep)
        ]
        edited = {number: edit[0] for number, edit in going.items() if edit is not None and edit[0] >= before}
        if edited:
            self._session.write(self._emptying(conversation, before, edited, keep))
        self._session.write((_DROP_RECEIPTS, (conversation, number)) for number in (*going, *changes))
        end = min(before, _first_id(bucket + 1))
        ranges = list(stretches(_first_id(bucket), end, keep))
        if keep:
            self._session.write((_DROP_CHANGE, (conversation, bucket, change)) for change in changes)
        else:
            self._session.write(_dropping(*_OWN, conversation, bucket, ranges))
        for table, column in _BY_TARGET:
            self._session.write(_dropping(table, column, conversation, bucket, ranges))
        if not keep and end < before:
            self._session.write([(_DROP_BUCKET, (conversation, bucket))])

    def _emptying(
        self, conversation: ConversationId, before: int, edited: dict[int, int], keep: Kept
    ) -> Iterator[Work]:
        """Yield what takes the text out of edits that are not below ``before`` and are of messages that go."""
        last = max(edited.values())
        buckets = self._session.rows(_BUCKETS_BETWEEN, (conversation, bucket_of(before), bucket_of(last)))
        for (bucket,) in buckets:
            for change, target in self._session.rows(_LATER_CHANGES, (conversation, bucket, before, last)):
                if target in edited and not _kept(change, keep):
                    yield _EMPTY_CHANGE, (b"", conversation, bucket, change)
