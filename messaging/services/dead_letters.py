"""The form of a record that nobody can read, for the topic ``dead`` (docs/decisions/0013)."""

from typing import Final

from messaging.domain import events
from messaging.ports import TOPIC_DEAD, NewRecord, Record

#: Of the record this much is kept: with what is said about it, it stays under the log's own limit.
_MAX_BYTES: Final = 512 * 1024


def place_of(record: Record) -> str:
    """Return where a record stands in the log, for people and as its dedupe key among the dead."""
    return f"{record.topic}/{record.partition}/{record.offset}"


def dead_record(record: Record, reason: str) -> NewRecord:
    """Return what to append; it is there once, however often it is appended."""
    dead = events.DeadRecord(reason, record.topic, record.partition, record.offset, record.payload[:_MAX_BYTES])
    return NewRecord(TOPIC_DEAD, record.key, events.encode(dead), place_of(record).encode())
