"""Where rows lie and when they count as written (docs/decisions/0015-cassandra-tables.md).

Everything here follows from ids, so that writing a record again writes the same cells again.
"""

from collections.abc import Mapping
from typing import Final

from messaging.domain.ids import EPOCH_MS, TIME_SHIFT, ConversationId, MessageId, UserId, timestamp_ms
from messaging.domain.messages import Chain, DedupeKey

DAY_MS: Final = 86_400_000
BUCKET_MS: Final = 10 * DAY_MS
#: Both stores move the day of a member's conversation on (what ``inbox`` sorts by first).
ACTIVE_DAY: Final = (
    "UPDATE {ks}.membership USING TIMESTAMP ? SET active_day = ? WHERE user_id = ? AND conversation_id = ?"
)
#: The newest message, and what ``chains_of`` takes.
LAST_IDS: Final = (
    "SELECT DISTINCT conversation_id, last_message_id, last_id, expired_id, chain_first, chain_last"
    " FROM {ks}.conversations"
    " WHERE conversation_id IN ?"
)
#: Before this many milliseconds (year 2248) an earlier moment still gives a later write timestamp.
_FIRST_WINS_MS: Final = 1 << 43


def chains_of(
    last_message_id: int | None, last_id: int | None, first: Mapping[int, int] | None, last: Mapping[int, int] | None
) -> dict[int, Chain]:
    """Return the chains of a conversation. What was written before there were changes has no ``last_id``."""
    newest = last_message_id if last_id is None else last_id
    chains = {} if newest is None else {0: Chain(MessageId(0), MessageId(newest))}
    for sub, end in (last or {}).items():
        chains[sub] = Chain(MessageId((first or {}).get(sub, 1)), MessageId(end))
    return chains


def bucket_of(message_id: int) -> int:
    """Return which window of ten days a message is in; 0 began at the epoch of ids."""
    return (message_id >> TIME_SHIFT) // BUCKET_MS


def day_of(message_id: int) -> int:
    """Return the day (UTC, from the epoch of ids) on which a message was appended."""
    return (message_id >> TIME_SHIFT) // DAY_MS


def day_at(unix_ms: float) -> int:
    """Return the day of a moment in Unix milliseconds."""
    return max(0, int(unix_ms) - EPOCH_MS) // DAY_MS


def day_written_us(day: int) -> int:
    """Return the write timestamp of a mark that says "active on this day": a later day wins over an earlier."""
    return (EPOCH_MS + day * DAY_MS) * 1000


def written_us(message_id: int) -> int:
    """Return the write timestamp (Unix µs) of what a record wrote: the log's time, not that of the writing.

    A record that is read again cannot replace what a later record wrote. Cells of one millisecond with different
    values: Cassandra keeps the larger, so a mark that is an id moves forward there as well.
    """
    return timestamp_ms(message_id) * 1000


def first_wins_us(unix_ms: int) -> int:
    """Return a write timestamp with which, of two times for one thing, the earlier one stays.

    Smaller than any of today, so that a deletion removes it.
    """
    return max(1, _FIRST_WINS_MS - unix_ms)


def pack_dedupe_key(key: DedupeKey) -> bytes:
    """Return the key of a dedupe row: one column, so that one statement can ask for many (IN)."""
    return key.conversation_id.to_bytes(8, "big") + key.sender_id.to_bytes(8, "big") + key.client_msg_id


def unpack_dedupe_key(packed: bytes) -> DedupeKey:
    """Return what ``pack_dedupe_key`` packed."""
    conversation, sender = int.from_bytes(packed[:8], "big"), int.from_bytes(packed[8:16], "big")
    return DedupeKey(ConversationId(conversation), UserId(sender), packed[16:])
