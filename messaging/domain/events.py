"""What travels inside: records of the log and batches between pods. Encoded as MessagePack (``encode``/``decode``).

These never reach a client; the client's frames are in ``frames.py``.
"""

from typing import Annotated, Literal, TypeVar

import msgspec

from messaging.domain.errors import CloseCode
from messaging.domain.frames import ServerFrame
from messaging.domain.ids import MAX_ID, ConversationId, DeviceId, MessageId, UserId

T = TypeVar("T")

# Checked where a record is read: what no store could hold is poison, and must not be found out any later.
_id = msgspec.Meta(gt=0, le=MAX_ID)
_User = Annotated[UserId, _id]
_Conversation = Annotated[ConversationId, _id]
_Message = Annotated[MessageId, _id]
#: ``mentions.EVERYBODY`` is 0.
_Mention = Annotated[UserId, msgspec.Meta(ge=0, le=MAX_ID)]
#: 0 for a browser's session, which needs no device to read.
_Device = Annotated[DeviceId, msgspec.Meta(ge=0, le=MAX_ID)]
_Uuid = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]

ChangeKind = Literal[
    "created", "member_added", "member_removed", "member_left", "role_changed", "renamed", "timer_set", "picture_set"
]
MessageChangeKind = Literal["edit", "delete", "react", "pin"]


class _Event(msgspec.Struct, frozen=True, tag_field="t", omit_defaults=True):
    pass


class MessageSent(_Event, tag="m", frozen=True):
    """Topic ``messages``: one message as its sender wrote it. ``client_msg_id`` is the UUID's 16 bytes."""

    sender: _User
    client_msg_id: _Uuid
    body: str
    media: list[str] = []
    reply_to: _Message | None = None
    forwarded: bool = False
    #: Of a message that is traced: see messaging/tracing.py.
    trace: bytes = b""
    mentions: list[_Mention] = []


class ConversationChanged(_Event, tag="c", frozen=True):
    """Topic ``messages``: membership or metadata changed, at this very place in the order of messages."""

    actor: _User
    change: ChangeKind
    client_msg_id: _Uuid
    users: list[_User] = []
    name: str | None = None
    role: str | None = None
    timer_s: int | None = None


class MessageChanged(_Event, tag="e", frozen=True):
    """Topic ``messages``: a message was edited, deleted, reacted to or pinned, at this place in the order of messages.

    ``body`` and ``mentions`` go with an edit; ``emoji`` and ``on`` with a reaction; ``on`` with a pin.
    """

    actor: _User
    client_msg_id: _Uuid
    target: _Message
    kind: MessageChangeKind
    body: str = ""
    emoji: str = ""
    on: bool = False
    mentions: list[_Mention] = []
    #: Of a change that is traced: see messaging/tracing.py.
    trace: bytes = b""
    #: A deletion because its author's account is erased; it counts wherever they are a member by now.
    erased: bool = False


class MessageModerated(_Event, tag="w", frozen=True):
    """Topic ``messages``: a message is withheld from everybody (``on``), or given back, at this place in the order.

    It names nobody: it is done by the house. Who of the staff it was, and why, is in the audit log.
    """

    client_msg_id: _Uuid
    target: _Message
    on: bool


class MessagesExpired(_Event, tag="h", frozen=True):
    """Topic ``messages``: members see nothing any more up to ``upto``. It has no place in the order; it is told on."""

    client_msg_id: _Uuid
    upto: _Message


LogEvent = MessageSent | ConversationChanged | MessageChanged | MessageModerated | MessagesExpired


class Receipt(msgspec.Struct, frozen=True, array_like=True):
    """A device has a message, or a user has read up to it. ``at_ms`` in Unix milliseconds."""

    kind: Literal["delivered", "read"]
    conversation: _Conversation
    message: _Message
    user: _User
    device: _Device
    at_ms: Annotated[int, msgspec.Meta(ge=0, le=MAX_ID)]
    #: Who wrote the message, where the pod delivered it and so knows.
    author: _User | None = None


class ReceiptBatch(msgspec.Struct, frozen=True, array_like=True):
    """Topic ``receipts``: receipts that one pod gathered over a short while."""

    receipts: list[Receipt]


class PushIntent(_Event, tag="n", frozen=True):
    """Topic ``push``: a message reached nobody at these; whether they get a push is decided when it is sent.

    ``users``: members without a live connection, or none that answers; all their devices count. A page: ``MAX_PAGE``.
    ``devices``: devices that did not answer, of people another of whose devices did.
    """

    conversation: _Conversation
    message: _Message
    sender: _User
    users: list[_User] = []
    devices: list[_Device] = []


class ReadMark(msgspec.Struct, frozen=True, array_like=True):
    """A user has read a conversation up to a message, on this device."""

    user: _User
    conversation: _Conversation
    message: _Message
    device: _Device


class PushRead(_Event, tag="w", frozen=True):
    """Topic ``push``: what was pushed up to these marks is to be taken back on the readers' other devices."""

    marks: list[ReadMark]


class PushChanged(_Event, tag="x", frozen=True):
    """Topic ``push``: a message was edited, deleted or withheld; what devices show of it is to follow."""

    conversation: _Conversation
    message: _Message


PushEvent = PushIntent | PushRead | PushChanged
#: Users or marks of one record of the topic ``push``; messages of one of ``search`` or ``links``.
MAX_PAGE = 1_000


class SearchChanged(msgspec.Struct, frozen=True, array_like=True):
    """Topic ``search``: these messages are new, or not what they were. What they are now is in the store."""

    messages: list[tuple[_Conversation, _Message]]


class LinksWritten(msgspec.Struct, frozen=True, array_like=True):
    """Topic ``links``: these messages have a link, or may have had one. What they say now is in the store."""

    messages: list[tuple[_Conversation, _Message]]


HookKind = Literal[
    "message.created",
    "message.edited",
    "message.deleted",
    "reaction.added",
    "reaction.removed",
    "member.added",
    "member.removed",
]


class HookEvent(msgspec.Struct, frozen=True, array_like=True):
    """Topic ``hooks``: something that these bots could see when it happened. What was said is in the store.

    ``at``: its place in the order; ``target``: the message that it is about. ``mentioned``: the bots that it names.
    """

    kind: HookKind
    conversation: _Conversation
    at: _Message
    target: _Message
    actor: _User
    bots: list[_User]
    emoji: str = ""
    mentioned: list[_User] = []


class DeadRecord(msgspec.Struct, frozen=True, array_like=True):
    """Topic ``dead``: a record that could not be read, where it was, and why. The key is that record's."""

    reason: str
    topic: str
    partition: int
    offset: int
    #: As it was found, or the beginning of it.
    payload: bytes


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
    #: Of a message or change that is traced: see messaging/tracing.py.
    trace: bytes = b""


class PresenceChanged(_Event, tag="p", frozen=True):
    """A watched user came or went; the pod tells its local subscribers."""

    user: UserId
    state: Literal["online", "offline"]
    last_seen: int | None = None


class RevokeDevices(_Event, tag="r", frozen=True):
    """Close the sockets of these devices of ``user`` with ``code`` (all of the user's when ``devices`` is empty)."""

    user: UserId
    devices: list[DeviceId] = []
    code: int = CloseCode.UNAUTHENTICATED
    reason: str = "signed out"


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
_push: msgspec.msgpack.Decoder[PushEvent] = msgspec.msgpack.Decoder(PushEvent)
_search = msgspec.msgpack.Decoder(SearchChanged)
_links = msgspec.msgpack.Decoder(LinksWritten)
_hook = msgspec.msgpack.Decoder(HookEvent)
_batch = msgspec.msgpack.Decoder(PodBatch)


def encode(
    value: LogEvent | ReceiptBatch | PushEvent | SearchChanged | LinksWritten | HookEvent | DeadRecord | PodBatch,
) -> bytes:
    """Return the MessagePack form."""
    return _encoder.encode(value)


class Poison(Exception):
    """These bytes are no event of ours: reading them again cannot help."""


def _read(decoder: msgspec.msgpack.Decoder[T], payload: bytes) -> T:
    try:
        return decoder.decode(payload)
    # A text that is not UTF-8, or a thousand lists in each other, are no DecodeError of msgspec's.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Poison(f"{type(error).__name__}: {error}") from None


def decode_log_event(payload: bytes) -> LogEvent:
    """Return an event of the topic ``messages``. Raises Poison."""
    return _read(_log_event, payload)


def decode_receipts(payload: bytes) -> ReceiptBatch:
    """Return a batch of the topic ``receipts``. Raises Poison."""
    return _read(_receipts, payload)


def decode_push(payload: bytes) -> PushEvent:
    """Return an event of the topic ``push``. Raises Poison."""
    return _read(_push, payload)


def decode_search(payload: bytes) -> SearchChanged:
    """Return what of the index is to be brought up to date. Raises Poison."""
    return _read(_search, payload)


def decode_links(payload: bytes) -> LinksWritten:
    """Return which messages' links are to be looked at. Raises Poison."""
    return _read(_links, payload)


def decode_hook(payload: bytes) -> HookEvent:
    """Return what bots are to be told. Raises Poison."""
    return _read(_hook, payload)


def decode_batch(payload: bytes) -> PodBatch:
    """Return what one pod is to do. Raises Poison."""
    return _read(_batch, payload)
