"""Conversations, members and messages as the stores give them (design section 4)."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from messaging.domain.ids import ConversationId, DeviceId, MessageId, UserId, first_id_at


class ConversationType(StrEnum):
    """``dm``: two people. ``group_small``: members inline. ``group_large``: members in pages."""

    DM = "dm"
    GROUP_SMALL = "group_small"
    GROUP_LARGE = "group_large"


class Role(StrEnum):
    """The owner may do all; an admin may add, remove and rename; a member may write."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class Membership:
    """One user's place in one conversation.

    A member sees messages with ``joined_id < id``, and, once gone, ``id <= left_id``.
    """

    user_id: UserId
    conversation_id: ConversationId
    role: Role
    joined_id: MessageId
    joined_at: datetime
    left_id: MessageId | None = None
    last_read_id: MessageId = MessageId(0)
    muted_until: datetime | None = None

    @property
    def active(self) -> bool:
        """Whether the user is a member now."""
        return self.left_id is None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation. ``members`` holds the active members' ids up to ``max_group_small`` and is None above."""

    id: ConversationId
    type: ConversationType
    created_at: datetime
    name: str
    members_count: int
    members: frozenset[UserId] | None
    last_message_id: MessageId | None
    created_by: UserId | None = None
    hot_k: int = 1

    @property
    def activity_id(self) -> MessageId:
        """What orders the inbox: the last message's id, or, before there is one, the time of creation as an id."""
        if self.last_message_id is not None:
            return self.last_message_id
        return first_id_at(int(self.created_at.timestamp() * 1000))


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One row of ``messages``. ``kind``: ``text`` or ``event``; an event's ``body`` is the JSON of ``frames.Event``."""

    conversation_id: ConversationId
    message_id: MessageId
    sender_id: UserId
    client_msg_id: bytes
    body: str
    media: list[str] = field(default_factory=list)
    prev_id: MessageId | None = None
    reply_to: MessageId | None = None
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class DedupeKey:
    """What makes a message the same message: conversation, sender and the client's UUID (16 bytes)."""

    conversation_id: ConversationId
    sender_id: UserId
    client_msg_id: bytes


@dataclass(frozen=True, slots=True)
class StoredReceipt:
    """One row of ``receipts``. ``delivered_at_ms`` in Unix milliseconds."""

    conversation_id: ConversationId
    message_id: MessageId
    user_id: UserId
    device_id: DeviceId
    delivered_at_ms: int
