"""Put a message or a change into the log: step 1 of the way of a message (design sections 1 and 2).

Socket and REST come through here, so both validate alike and dedupe by the same key. What returns
is in the log: it survives a crash of everything else.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from channels.db import database_sync_to_async
from django.db import InterfaceError, OperationalError
from prometheus_client import Counter

from chatproject import container
from messaging import tracing
from messaging.domain import events, ids
from messaging.domain.errors import InvalidInput, TooLarge, Unavailable
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.limits import Limits
from messaging.domain.mentions import parse_mentions
from messaging.domain.messages import DedupeKey
from messaging.ports import (
    TOPIC_HOT,
    TOPIC_MESSAGES,
    LogUnavailable,
    MessageLog,
    NewRecord,
    Position,
    PositionUnknown,
    RecordTooLarge,
    StoreUnavailable,
)

RETRIES = Counter("chat_append_retries_total", "Appends to the log that were tried again.")

#: How long a sender waits for the log, all tries together. A client that hears nothing sends again after 3 s, and that
#: waits for the same record; what it gets in the end is one answer for both.
DELIVERY_DEADLINE_S: Final = 5.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 1.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A validated message, ready for the log."""

    sender: UserId
    conversation: ConversationId
    client_msg_id: bytes
    body: str
    media: list[str]
    reply_to: MessageId | None
    forwarded: bool = False
    mentions: list[UserId] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message or change that is in the log. ``duplicate``: an earlier one had its client id; this is that place."""

    message_id: MessageId
    ts_ms: int
    duplicate: bool


def parse_client_msg_id(text: str) -> bytes:
    """Return the 16 bytes of a client's UUID. Raises InvalidInput."""
    try:
        parsed = UUID(text)
    except ValueError:
        parsed = None
    # Python also reads braces, URNs and dashes anywhere; the client would not know its id again in the answer.
    if parsed is None or str(parsed) != text.lower():
        raise InvalidInput("msg_id must be a UUID in its usual form, 8-4-4-4-12 hexadecimal digits")
    return parsed.bytes


def check_body(body: str, limits: Limits) -> None:
    """Pass a text that may be stored. Raises InvalidInput; TooLarge: it is over ``max_body_bytes`` of UTF-8."""
    # A lone surrogate passes JSON's escapes but has no UTF-8 form, and Protobuf clients could not read it.
    try:
        size = len(body.encode())
    except UnicodeEncodeError:
        raise InvalidInput("body holds a character that UTF-8 cannot carry") from None
    if size > limits.max_body_bytes:
        raise TooLarge(f"body is {size} bytes; the limit is {limits.max_body_bytes}")
    if "\x00" in body:
        raise InvalidInput("body must not contain NUL characters")


def validate_send(
    *,
    sender: UserId,
    conversation: ConversationId,
    msg_id: str,
    body: str,
    media: list[str],
    reply_to: str | None,
    limits: Limits,
    forwarded: bool = False,
    mentions: Sequence[str] = (),
) -> Outgoing:
    """Return what may be appended.

    Raises:
        InvalidInput: bad ``msg_id``, ``reply_to``, mention or media reference, or nothing in it.
        TooLarge: the body is over ``max_body_bytes`` of UTF-8, or there are too many media references or mentions.
    """
    client_msg_id = parse_client_msg_id(msg_id)
    check_body(body, limits)
    if not body.strip() and not media:
        raise InvalidInput("a message needs a body or media")
    if len(media) > limits.max_media_refs:
        raise TooLarge(f"{len(media)} media references; the limit is {limits.max_media_refs}")
    for ref in media:
        if not ref or len(ref) > limits.max_media_ref_chars or not ref.isprintable():
            raise InvalidInput(f"a media reference is 1 to {limits.max_media_ref_chars} printable characters")
    reply_id: MessageId | None = None
    if reply_to is not None:
        try:
            reply_conversation, reply_id = ids.parse_server_id(reply_to)
        except ids.InvalidId:
            raise InvalidInput("reply_to is not a server_id") from None
        if reply_conversation != conversation:
            raise InvalidInput("reply_to is in another conversation")
    named = parse_mentions(mentions, limits=limits)
    return Outgoing(sender, conversation, client_msg_id, body, media, reply_id, forwarded, named)


def _record(
    conversation: ConversationId, sub: int, event: events.LogEvent, *, author: UserId, client_msg_id: bytes
) -> NewRecord:
    """Return a record of a sub-partition; its dedupe key is (conversation, author, client's UUID).

    And the sub-partition: the id of the first copy could not be told from its position, were it in another. The router
    finds copies wherever they are.
    """
    key = ids.record_key(conversation, sub)
    dedup_key = key[:8] + author.to_bytes(8, "big") + client_msg_id + key[8:]
    return NewRecord(TOPIC_HOT if sub else TOPIC_MESSAGES, key, events.encode(event), dedup_key)


def _dedupe_key(record: NewRecord) -> DedupeKey:
    """Return what ``_record`` packed."""
    packed = record.dedup_key or b""
    conversation, sender = int.from_bytes(packed[:8], "big"), int.from_bytes(packed[8:16], "big")
    return DedupeKey(ConversationId(conversation), UserId(sender), packed[16:32])


def message_record(message: Outgoing, *, hot_k: int = 1, trace: bytes = b"") -> NewRecord:
    """Return the log record of a message of a conversation that is spread over ``hot_k`` sub-partitions."""
    event = events.MessageSent(
        message.sender,
        message.client_msg_id,
        message.body,
        message.media,
        message.reply_to,
        message.forwarded,
        trace,
        message.mentions,
    )
    sub = ids.sub_for(message.sender, hot_k=hot_k)
    return _record(message.conversation, sub, event, author=message.sender, client_msg_id=message.client_msg_id)


def placed(position: Position, *, record: NewRecord) -> Sent:
    """Return the ids that the log position of a record stands for."""
    _, sub = ids.parse_record_key(record.key)
    message_id = ids.message_id_at(ts_ms=position.ts_ms, sub=sub, offset=position.offset)
    return Sent(message_id, position.ts_ms, position.duplicate)


async def append_durably(log: MessageLog, record: NewRecord, *, deadline: float | None = None) -> Sent:
    """Append, with back-off again and again until ``deadline``; safe, since the dedupe key repeats (design section 6).

    ``deadline`` is a time of the loop's clock; by default DELIVERY_DEADLINE_S from now.

    Raises:
        Unavailable: not known to be durable; the caller must not ack.
        TooLarge: the record is over the log's limit.
    """
    return await _in_time(_append(log, record), deadline)


async def find_stored(record: NewRecord, *, deadline: float | None = None) -> Sent:
    """Return where the router stored a record that the log could not place (design section 2); see ``append_durably``.

    Raises:
        Unavailable: it is durable, but not stored in time; the caller must not ack what it cannot name.
    """
    return await _in_time(_look(record), deadline)


async def _in_time(trying: Awaitable[Sent], deadline: float | None) -> Sent:
    if deadline is None:
        deadline = asyncio.get_running_loop().time() + DELIVERY_DEADLINE_S
    try:
        async with asyncio.timeout_at(deadline):
            return await trying
    except TimeoutError:
        raise Unavailable(
            "the message is not known to be stored; send it again with the same msg_id", retry_after=2.0
        ) from None


async def _append(log: MessageLog, record: NewRecord) -> Sent:
    waits = _waits()
    while True:
        try:
            return placed(await log.append(record), record=record)
        except PositionUnknown:
            return await _look(record)
        except RecordTooLarge:
            raise TooLarge("the message is too large for the log") from None
        except LogUnavailable:
            await asyncio.sleep(next(waits))
        RETRIES.inc()


async def _look(record: NewRecord) -> Sent:
    key = _dedupe_key(record)
    look = database_sync_to_async(container.message_store().find_placed, thread_sensitive=False)
    waits = _waits()
    while True:
        # Where the store does not answer, the message is not known to be in it.
        with contextlib.suppress(StoreUnavailable, OperationalError, InterfaceError):
            found = await look([key])
            if key in found:
                message_id = found[key].message_id
                return Sent(message_id, ids.timestamp_ms(message_id), duplicate=False)
        await asyncio.sleep(next(waits))


def _waits() -> Iterator[float]:
    """Yield how long to wait before each next try (s): doubling, and different for those who failed together."""
    wait_s = _FIRST_WAIT_S
    while True:
        yield wait_s * random.uniform(0.5, 1.0)  # noqa: S311
        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)


async def send_message(*, log: MessageLog, message: Outgoing, hot_k: int) -> Sent:
    """Return where the message stands in the log, once it is durable. Idempotent by its client id.

    Raises:
        Unavailable: nothing is acked; repeat with the same ``msg_id``.
    """
    span = tracing.begin("rest.send")
    try:
        return await append_durably(log, message_record(message, hot_k=hot_k, trace=tracing.carried(span)))
    finally:
        if span is not None:
            span.end()


_Change = events.ConversationChanged | events.MessageChanged | events.MessageModerated | events.MessagesExpired
_ByHouse = events.MessageModerated | events.MessagesExpired
_OfConversation = events.ConversationChanged | events.MessagesExpired


def change_record(conversation: ConversationId, change: _Change) -> NewRecord:
    """Return the log record of a change.

    One of a message goes to the message's sub-partition, after it and among all other changes of it; one of the
    conversation to the first.
    """
    author = ids.MODERATORS if isinstance(change, _ByHouse) else change.actor
    sub = 0 if isinstance(change, _OfConversation) else ids.sub_of(change.target)
    return _record(conversation, sub, change, author=author, client_msg_id=change.client_msg_id)


async def append_change(
    *, log: MessageLog, conversation: ConversationId, change: _Change, deadline: float | None = None
) -> Sent:
    """Put a change of the conversation, or of a message, at its place in the order; ``deadline``: ``append_durably``.

    Raises:
        Unavailable: the change is not in the log.
        TooLarge: the record is over the log's limit.
    """
    return await append_durably(log, change_record(conversation, change), deadline=deadline)
