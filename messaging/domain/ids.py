"""Identifiers: numbers inside, opaque strings on the wire (design section 2).

A message id is computed from the position of its record in the log, never drawn from a counter or
a clock of our own. The gateway computes it from the append's answer and the router from the record
it reads, and both get the same number; that is what makes every write of the router an idempotent
upsert.

Layout of a message id (63 bits, so it fits a signed BIGINT)::

    | 41 bits: broker append time, ms since EPOCH_MS | 5 bits: sub-partition | 17 bits: offset mod 2^17 |

Id order is log order as long as the broker's clock does not step back; replays therefore begin
``REPLAY_MARGIN_MS`` before a mark, and readers drop what they already hold.

The rows of one sub-partition make a chain. A conversation has one, number 0; a hot one has more, whose ids are not in
the order in which they come to be read (docs/decisions/0036-hot-conversations.md). A mark is what somebody has of each.
"""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Final, NewType
from zlib import crc32

UserId = NewType("UserId", int)
ConversationId = NewType("ConversationId", int)
MessageId = NewType("MessageId", int)
DeviceId = NewType("DeviceId", int)
MediaId = NewType("MediaId", int)
ScheduledId = NewType("ScheduledId", int)

#: What is held of a conversation: the newest id of each chain of which there is anything. Everything before it, too.
Mark = Mapping[int, MessageId]

#: 2024-01-01T00:00:00Z. 41 bits of milliseconds from here last until September 2093.
EPOCH_MS = 1_704_067_200_000
SUB_BITS = 5
OFFSET_BITS = 17
TIME_SHIFT = SUB_BITS + OFFSET_BITS
OFFSET_MASK = (1 << OFFSET_BITS) - 1
MAX_SUB = (1 << SUB_BITS) - 1
#: Over how many sub-partitions the messages of a hot conversation can be spread; 0 keeps its members' changes.
MAX_HOT_K: Final = MAX_SUB
MAX_ID = (1 << 63) - 1
#: How far before a mark every replay begins, in milliseconds.
REPLAY_MARGIN_MS = 5_000

#: Who withholds messages and gives them back: not a person. ``new_random_id`` never returns it.
MODERATORS = UserId(MAX_ID)

_CONVERSATION = "c_"
_USER = "u_"
_MESSAGE = "m_"
_DEVICE = "d_"
_MEDIA = "f_"
_SCHEDULED = "s_"
_ENDPOINT = "e_"


class InvalidId(ValueError):
    """The string is not an identifier of the wanted kind."""


def message_id_at(*, ts_ms: int, sub: int, offset: int) -> MessageId:
    """Return the id of the record at ``offset`` that the log stamped ``ts_ms`` (Unix milliseconds).

    Raises:
        ValueError: the time or the sub-partition does not fit its bits.
    """
    elapsed = ts_ms - EPOCH_MS
    if not 0 <= elapsed < 1 << 41:
        raise ValueError(f"append time {ts_ms} ms is outside the range of message ids")
    if not 0 <= sub <= MAX_SUB:
        raise ValueError(f"sub-partition {sub} is outside 0..{MAX_SUB}")
    return MessageId((elapsed << TIME_SHIFT) | (sub << OFFSET_BITS) | (offset & OFFSET_MASK))


def sub_of(message_id: int) -> int:
    """Return the sub-partition of a message or change."""
    return message_id >> OFFSET_BITS & MAX_SUB


def sub_for(sender: int, *, hot_k: int) -> int:
    """Return the sub-partition for what ``sender`` writes to a conversation that is spread over ``hot_k``.

    1: it is not spread. What one person writes stays in one while ``hot_k`` does, and so in order, with its resends.
    """
    return 0 if hot_k <= 1 else 1 + crc32(sender.to_bytes(8, "big")) % hot_k


def in_sub(message_id: int, sub: int) -> MessageId:
    """Return an id of the same millisecond in another sub-partition: a place in its chain, where no row need be."""
    return MessageId(message_id & ~(MAX_SUB << OFFSET_BITS) | sub << OFFSET_BITS)


def timestamp_ms(message_id: int) -> int:
    """Return the log's append time of a message, in Unix milliseconds."""
    return (message_id >> TIME_SHIFT) + EPOCH_MS


def first_id_at(ts_ms: int) -> MessageId:
    """Return the smallest id a message appended at ``ts_ms`` can have (0 before the epoch)."""
    return MessageId(max(0, ts_ms - EPOCH_MS) << TIME_SHIFT)


def replay_start(mark: MessageId) -> MessageId:
    """Return the id after which a replay for ``mark`` begins: the mark less the safety margin."""
    return first_id_at(timestamp_ms(mark) - REPLAY_MARGIN_MS)


def new_random_id() -> int:
    """Return a fresh 63-bit id for a user, a conversation, a device or media; it tells nothing of how many exist."""
    return secrets.randbits(62) + 1


def _encode(prefix: str, raw: bytes) -> str:
    return prefix + urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decode(prefix: str, text: str, size: int) -> bytes:
    if not text.startswith(prefix):
        raise InvalidId(f"expected an id beginning with {prefix!r}")
    body = text[len(prefix) :]
    padding = "=" * (-len(body) % 4)
    try:
        raw = urlsafe_b64decode(body + padding)
    except (Base64Error, ValueError) as error:
        raise InvalidId("malformed id") from error
    # Base64 has several spellings of the same bytes; only the canonical one is an id, so that
    # equal ids are equal strings.
    if len(raw) != size or _encode(prefix, raw) != text:
        raise InvalidId("malformed id")
    return raw


def _encode_one(prefix: str, number: int) -> str:
    return _encode(prefix, number.to_bytes(8, "big"))


def _decode_one(prefix: str, text: str) -> int:
    number = int.from_bytes(_decode(prefix, text, 8), "big")
    if not 0 < number <= MAX_ID:
        raise InvalidId("malformed id")
    return number


def user_ref(user_id: int) -> str:
    """Return the wire form of a user id, ``u_…``."""
    return _encode_one(_USER, user_id)


def parse_user(text: str) -> UserId:
    """Return the user id behind ``u_…``. Raises InvalidId."""
    return UserId(_decode_one(_USER, text))


def conversation_ref(conversation_id: int) -> str:
    """Return the wire form of a conversation id, ``c_…``."""
    return _encode_one(_CONVERSATION, conversation_id)


def parse_conversation(text: str) -> ConversationId:
    """Return the conversation id behind ``c_…``. Raises InvalidId."""
    return ConversationId(_decode_one(_CONVERSATION, text))


def device_ref(device_id: int) -> str:
    """Return the wire form of a device id, ``d_…``."""
    return _encode_one(_DEVICE, device_id)


def parse_device(text: str) -> DeviceId:
    """Return the device id behind ``d_…``. Raises InvalidId."""
    return DeviceId(_decode_one(_DEVICE, text))


def media_ref(media_id: int) -> str:
    """Return the wire form of a media object's id, ``f_…``."""
    return _encode_one(_MEDIA, media_id)


def parse_media(text: str) -> MediaId:
    """Return the id behind ``f_…``. Raises InvalidId."""
    return MediaId(_decode_one(_MEDIA, text))


def scheduled_ref(scheduled_id: int) -> str:
    """Return the wire form of the id of a message that is to be sent later, ``s_…``."""
    return _encode_one(_SCHEDULED, scheduled_id)


def parse_scheduled(text: str) -> ScheduledId:
    """Return the id behind ``s_…``. Raises InvalidId."""
    return ScheduledId(_decode_one(_SCHEDULED, text))


def endpoint_ref(endpoint_id: int) -> str:
    """Return the wire form of the id of an address to which a bot's events are sent, ``e_…``."""
    return _encode_one(_ENDPOINT, endpoint_id)


def parse_endpoint(text: str) -> int:
    """Return the id behind ``e_…``. Raises InvalidId."""
    return _decode_one(_ENDPOINT, text)


def server_id(conversation_id: int, message_id: int) -> str:
    """Return ``m_…``: conversation and message in one opaque string, so that a receipt needs nothing else."""
    return _encode(_MESSAGE, conversation_id.to_bytes(8, "big") + message_id.to_bytes(8, "big"))


def parse_server_id(text: str) -> tuple[ConversationId, MessageId]:
    """Return the conversation and message behind ``m_…``. Raises InvalidId."""
    raw = _decode(_MESSAGE, text, 16)
    conversation = int.from_bytes(raw[:8], "big")
    message = int.from_bytes(raw[8:], "big")
    if not (0 < conversation <= MAX_ID and 0 < message <= MAX_ID):
        raise InvalidId("malformed id")
    return ConversationId(conversation), MessageId(message)


def mark_ref(conversation_id: int, mark: Mark) -> str | None:
    """Return the wire form of a mark: an ``m_…`` for each chain, with commas between; None for nothing."""
    return ",".join(server_id(conversation_id, mark[sub]) for sub in sorted(mark)) or None


def parse_mark(text: str) -> tuple[ConversationId, dict[int, MessageId]]:
    """Return the conversation and the mark behind ``m_…,m_…``. Raises InvalidId; also where a chain is named twice."""
    parsed = [parse_server_id(part) for part in text.split(",", MAX_SUB)]
    mark = {sub_of(message): message for _, message in parsed}
    if len({conversation for conversation, _ in parsed}) != 1 or len(mark) != len(parsed):
        raise InvalidId("malformed mark")
    return parsed[0][0], mark


def record_key(conversation_id: int, sub: int) -> bytes:
    """Return the key of a record of a conversation: records of one key keep their order."""
    key = conversation_id.to_bytes(8, "big")
    return key if sub == 0 else key + bytes([sub])


def parse_record_key(key: bytes) -> tuple[ConversationId, int]:
    """Return the conversation and the sub-partition behind a record's key. Raises InvalidId."""
    conversation, sub = int.from_bytes(key[:8], "big"), key[8] if len(key) == 9 else 0
    if not 0 < conversation <= MAX_ID or sub > MAX_SUB or record_key(conversation, sub) != key:
        raise InvalidId("malformed key")
    return ConversationId(conversation), sub
