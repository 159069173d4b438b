"""What travels inside: records of the log and batches between pods. Encoded as MessagePack (``encode``/``decode``).

These never reach a client; the client's frames are in ``frames.py``.
"""

from typing import Literal

import msgspec

from messaging.domain.frames import ServerFrame
from messaging.domain.ids import ConversationId, DeviceId, MessageId, UserId

ChangeKind = Literal["created", "member_added", "member_removed", "member_left", "role_changed", "renamed"]


class _Event(msgspec.Struct, frozen=True, tag_field="t", omit_defaults=True):
    pass


class MessageSent(_Event, tag="m", frozen=True):
    """Topic ``messages``: one message as its sender wrote it. ``client_msg_id`` is the UUID's 16 bytes."""

    sender: UserId
    client_msg_id: bytes
    body: str
    media: list[str] = []
    reply_to: MessageId | None = None


class ConversationChanged(_Event, tag="c", frozen=True):
    """Topic ``messages``: membership or metadata changed, at this very place in the order of messages."""

    actor: UserId
    change: ChangeKind
    client_msg_id: bytes
    users: list[UserId] = []
    name: str | None = None
    role: str | None = None


LogEvent = MessageSent | ConversationChanged


class Receipt(msgspec.Struct, frozen=True, array_like=True):
    """A device has a message, or a user has read up to it. ``at_ms`` in Unix milliseconds."""

    kind: Literal["delivered", "read"]
    conversation: ConversationId
    message: MessageId
    user: UserId
    device: DeviceId
    at_ms: int


class ReceiptBatch(msgspec.Struct, frozen=True, array_like=True):
    """Topic ``receipts``: receipts that one pod gathered over a short while."""

    receipts: list[Receipt]


class Deliver(_Event, tag="d", frozen=True):
    """Write ``frame`` to every connection of ``users`` on the pod; ``own``, in its place, to the ``author``'s."""

    users: list[UserId]
    frame: ServerFrame
    author: UserId | None = None
    own: ServerFrame | None = None
    #: Ephemeral frames (typing, presence, receipts) are the first to be dropped when a queue is full.
    ephemeral: bool = False
    #: Leave out this connection (the one it came from).
    except_conn: str | None = None


class PresenceChanged(_Event, tag="p", frozen=True):
    """A watched user came or went; the pod tells its local subscribers."""

    user: UserId
    state: Literal["online", "offline"]
    last_seen: int | None = None


class RevokeDevices(_Event, tag="r", frozen=True):
    """Close the sockets of these devices of ``user`` with 4401 (all of the user's when ``devices`` is empty)."""

    user: UserId
    devices: list[DeviceId] = []


class InvalidateConversation(_Event, tag="i", frozen=True):
    """Forget what the pod cached about a conversation: its members or a block changed."""

    conversation: ConversationId


class InvalidateBlocks(_Event, tag="b", frozen=True):
    """Forget what the pod cached about conversations of ``user`` and ``other``: one blocked or unblocked the other."""

    user: UserId
    other: UserId


PodEvent = Deliver | PresenceChanged | RevokeDevices | InvalidateConversation | InvalidateBlocks


class PodBatch(msgspec.Struct, frozen=True):
    """All that one poll of the router, or one act of a service, has for one pod, in order."""

    events: list[PodEvent]


_encoder = msgspec.msgpack.Encoder()
_log_event: msgspec.msgpack.Decoder[LogEvent] = msgspec.msgpack.Decoder(LogEvent)
_receipts = msgspec.msgpack.Decoder(ReceiptBatch)
_batch = msgspec.msgpack.Decoder(PodBatch)


def encode(value: LogEvent | ReceiptBatch | PodBatch) -> bytes:
    """Return the MessagePack form."""
    return _encoder.encode(value)


def decode_log_event(payload: bytes) -> LogEvent:
    """Raises msgspec.DecodeError for a poison record."""
    return _log_event.decode(payload)


def decode_receipts(payload: bytes) -> ReceiptBatch:
    """Raises msgspec.DecodeError for a poison record."""
    return _receipts.decode(payload)


def decode_batch(payload: bytes) -> PodBatch:
    """Raises msgspec.DecodeError for a malformed batch."""
    return _batch.decode(payload)
