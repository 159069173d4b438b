"""The frames of the socket protocol as typed values (design section 5).

``protocol/chat.proto`` is the source; these structs have the same names, fields and order of
meaning, and a test holds the two together. JSON and Protobuf codecs turn bytes into these and back;
nothing past the codec sees a dict.
"""

from typing import Literal

import msgspec

__all__ = [
    "Ack", "Auth", "Backfill", "Change", "ClientFrame", "Conv", "Delete", "DeleteEvent", "Delivered",
    "DeliveredEvent", "Drain", "Edit", "EditEvent", "Error", "Event", "Link", "Msg", "Pin", "PinEvent", "Ping", "Pong",
    "Presence", "PresenceState", "React", "ReactEvent", "Reaction", "Read", "ReadEvent", "Ready", "RestoreEvent",
    "Resync", "Send", "ServerFrame", "ServerLimits", "Sync", "Synced", "TakedownEvent", "Typing", "TypingEvent",
]  # fmt: skip


class _Frame(msgspec.Struct, frozen=True, tag_field="op", omit_defaults=True):
    pass


# --- client -> server -------------------------------------------------------------------------


class Auth(_Frame, tag="auth", frozen=True):
    """Authenticate a socket that was opened without credentials."""

    token: str


class Send(_Frame, tag="send", frozen=True):
    """Send a message. ``msg_id`` is a UUID made by the client; repeating it is safe.

    ``forwarded_from`` is a message that the sender can read; the new one is marked as forwarded, and tells no origin.
    ``mentions``: members whom the text names, or ``all``.
    """

    msg_id: str
    conv: str
    body: str = ""
    media: list[str] = []
    reply_to: str | None = None
    forwarded_from: str | None = None
    mentions: list[str] = []


class Edit(_Frame, tag="edit", frozen=True):
    """Give one's own message ``server_id`` another text. ``msg_id`` is the change's own; repeating it is safe."""

    msg_id: str
    server_id: str
    body: str = ""
    mentions: list[str] = []


class Delete(_Frame, tag="delete", frozen=True):
    """Delete a message for everyone. ``msg_id`` is the change's own."""

    msg_id: str
    server_id: str


class React(_Frame, tag="react", frozen=True):
    """Put an emoji to a message, or take it back (``on`` false). ``msg_id`` is the change's own."""

    msg_id: str
    server_id: str
    emoji: str
    on: bool = False


class Pin(_Frame, tag="pin", frozen=True):
    """Pin a message to the top of its conversation, or take it down (``on`` false). ``msg_id`` is the change's own."""

    msg_id: str
    server_id: str
    on: bool = False


class Delivered(_Frame, tag="delivered", frozen=True):
    """This device has the message."""

    server_id: str


class Read(_Frame, tag="read", frozen=True):
    """The user has read up to and including the message."""

    server_id: str


class Typing(_Frame, tag="typing", frozen=True):
    """The user is typing."""

    conv: str


class Sync(_Frame, tag="sync", frozen=True):
    """Ask for what came after each mark: conversation -> what this device holds of it, ``ids.mark_ref``.

    ``keep``: remember the marks for this device. ``resume``: a device of the same user, whose remembered marks count
    where this one names none.
    """

    marks: dict[str, str] = {}
    keep: bool = False
    resume: str | None = None


class Ping(_Frame, tag="ping", frozen=True):
    """Keep the socket alive; due every ``heartbeat_s``."""


class Presence(_Frame, tag="presence", frozen=True):
    """Subscribe to the presence of these users; replaces the earlier subscription."""

    users: list[str] = []


ClientFrame = Auth | Send | Edit | Delete | React | Pin | Delivered | Read | Typing | Sync | Ping | Presence


# --- server -> client -------------------------------------------------------------------------


class ServerLimits(msgspec.Struct, frozen=True):
    """The limits a client must keep; bytes, counts and seconds as named."""

    max_body_bytes: int
    max_media_refs: int
    max_frame_bytes: int
    max_sync_marks: int
    max_presence_users: int
    max_members: int
    max_mentions: int
    edit_window_s: int
    max_media_bytes: int


class Ready(_Frame, tag="ready", frozen=True):
    """The socket is authenticated. ``ts`` is the server's clock in Unix ms."""

    conn: str
    user: str
    device: str
    heartbeat_s: int
    ts: int
    limits: ServerLimits


class Ack(_Frame, tag="ack", frozen=True):
    """The message is in the log. ``ts`` is the log's append time in Unix ms."""

    msg_id: str
    server_id: str
    ts: int


class Error(_Frame, tag="error", frozen=True):
    """A frame was refused. ``msg_id`` names the send it answers; ``retry_after`` is in seconds."""

    code: str
    detail: str
    msg_id: str | None = None
    retry_after: float | None = None


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a message of kind ``event`` tells: who joined, left, was renamed …"""

    type: Literal[
        "created",
        "member_added",
        "member_removed",
        "member_left",
        "role_changed",
        "renamed",
        "timer_set",
        "picture_set",
    ]
    users: list[str] = []
    name: str | None = None
    role: str | None = None
    #: After how many seconds messages are to expire; None: not any more.
    timer_s: int | None = None


class Reaction(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a message got of one emoji. ``mine``: the reader is among them; ``users``: the first few."""

    emoji: str
    count: int
    mine: bool = False
    users: list[str] = []


class Msg(_Frame, tag="msg", frozen=True):
    """A message, in the order of the log. ``prev`` is the message or change before it in the conversation.

    ``from`` is spelt ``sender`` in code (a Python keyword). ``msg_id`` is sent to the sender's own
    devices only. ``edited_at``, ``deleted``, ``withheld`` and ``reactions`` are what changes have made of it since; a
    live frame, which comes before all changes, has none of them. ``spread_ms``: over so long the devices of a large
    group spread their ``delivered``; in its live frames only.
    """

    server_id: str
    conv: str
    sender: str = msgspec.field(name="from")
    ts: int
    body: str = ""
    media: list[str] = []
    prev: str | None = None
    reply_to: str | None = None
    msg_id: str | None = None
    kind: Literal["text", "event"] = "text"
    event: Event | None = None
    forwarded: bool = False
    edited_at: int | None = None
    deleted: bool = False
    reactions: list[Reaction] = []
    withheld: bool = False
    mentions: list[str] = []
    spread_ms: int | None = None


class EditEvent(_Frame, tag="edit", frozen=True):
    """The message ``target`` has another text. ``server_id`` is the change's own, in the order of messages."""

    server_id: str
    target: str
    conv: str
    sender: str = msgspec.field(name="from")
    ts: int
    body: str = ""
    prev: str | None = None
    msg_id: str | None = None
    mentions: list[str] = []


class DeleteEvent(_Frame, tag="delete", frozen=True):
    """The message ``target`` is deleted for everyone, by ``from``."""

    server_id: str
    target: str
    conv: str
    sender: str = msgspec.field(name="from")
    ts: int
    prev: str | None = None
    msg_id: str | None = None


class ReactEvent(_Frame, tag="react", frozen=True):
    """``from`` put an emoji to ``target``, or took it back. ``count``: how many have put this emoji there now."""

    server_id: str
    target: str
    conv: str
    sender: str = msgspec.field(name="from")
    ts: int
    emoji: str
    on: bool = False
    count: int = 0
    prev: str | None = None
    msg_id: str | None = None


class PinEvent(_Frame, tag="pin", frozen=True):
    """``from`` pinned ``target`` for everybody in the conversation, or took it down."""

    server_id: str
    target: str
    conv: str
    sender: str = msgspec.field(name="from")
    ts: int
    on: bool = False
    prev: str | None = None
    msg_id: str | None = None


class TakedownEvent(_Frame, tag="takedown", frozen=True):
    """The message ``target`` is withheld from everybody by moderators; forget what it said."""

    server_id: str
    target: str
    conv: str
    ts: int
    prev: str | None = None


class RestoreEvent(_Frame, tag="restore", frozen=True):
    """Moderators gave ``target`` back: it is again what it was, with these fields. Its reactions are as they were."""

    server_id: str
    target: str
    conv: str
    ts: int
    body: str = ""
    media: list[str] = []
    reply_to: str | None = None
    forwarded: bool = False
    edited_at: int | None = None
    prev: str | None = None
    mentions: list[str] = []


class Link(_Frame, tag="link", frozen=True):
    """A place in the chain where there is nothing for the reader to see (any more)."""

    server_id: str
    conv: str
    prev: str | None = None


Change = EditEvent | DeleteEvent | ReactEvent | PinEvent | TakedownEvent | RestoreEvent | Link


class DeliveredEvent(_Frame, tag="delivered", frozen=True):
    """A device of ``user`` has the message; sent to the message's author."""

    server_id: str
    user: str
    ts: int


class ReadEvent(_Frame, tag="read", frozen=True):
    """``user`` has read up to and including the message; sent to the members and to the reader's other devices."""

    server_id: str
    user: str
    ts: int


class TypingEvent(_Frame, tag="typing", frozen=True):
    """``user`` is typing; show it for about five seconds."""

    conv: str
    user: str


class PresenceState(_Frame, tag="presence", frozen=True):
    """State of one subscribed user. ``last_seen`` in Unix ms, absent when hidden or online."""

    user: str
    state: Literal["online", "offline"]
    last_seen: int | None = None


class Backfill(_Frame, tag="backfill", frozen=True):
    """What came after a mark, oldest first: messages as they are now (at most ``max_backfill``), and changes.

    ``more``: there are older messages. ``mark``: whoever takes this has everything up to there, but for what ``more``
    leaves out. ``stale``: there are older changes, too; messages that the device holds may have changed unseen.
    ``expired_before``: what is older than that is over its time; drop it.
    """

    conv: str
    messages: list[Msg]
    more: bool = False
    changes: list[Change] = []
    mark: str | None = None
    stale: bool = False
    expired_before: str | None = None


class Synced(_Frame, tag="synced", frozen=True):
    """All backfills of a ``sync`` have been sent; ``convs`` says how many conversations had news."""

    convs: int


class Pong(_Frame, tag="pong", frozen=True):
    """Answer to ``ping``; ``ts`` is the server's clock in Unix ms."""

    ts: int


class Drain(_Frame, tag="drain", frozen=True):
    """This pod will close the socket (1012) within ``after_ms``; reconnect when it does."""

    after_ms: int


class Resync(_Frame, tag="resync", frozen=True):
    """Something for this socket may have been lost on its way; ``sync`` with all marks."""


class Conv(_Frame, tag="conv", frozen=True):
    """Membership or metadata of a conversation changed; read it again over REST.

    ``removed`` goes to the person who is no longer a member.
    """

    conv: str
    change: Literal[
        "created", "members", "removed", "role", "renamed", "settings", "timer", "requests", "picture", "draft",
        "scheduled", "previews",
    ]  # fmt: skip
    by: str | None = None


ServerFrame = (
    Ready | Ack | Error | Msg | EditEvent | DeleteEvent | ReactEvent | PinEvent | TakedownEvent | RestoreEvent | Link
    | DeliveredEvent | ReadEvent | TypingEvent | PresenceState | Backfill | Synced | Pong | Drain | Resync | Conv
)  # fmt: skip
