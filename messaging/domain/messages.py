"""Conversations, members and messages as the stores give them (design section 4)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

from messaging.domain.ids import ConversationId, DeviceId, Mark, MediaId, MessageId, UserId, first_id_at


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

    @property
    def moderates(self) -> bool:
        """Whether it may delete what others wrote in a group."""
        return self in (Role.OWNER, Role.ADMIN)


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where a member keeps a conversation; nobody else learns of it (docs/decisions/0063).

    ``archived_id``: it is put away until something newer is said (0: it is not). ``pinned``: it is on top of the list.
    ``unread_id``: it is marked as unread until something newer is read (0: it is not).
    """

    archived_id: MessageId = MessageId(0)
    pinned: bool = False
    unread_id: MessageId = MessageId(0)


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
    #: ``membership`` and ``inbox`` of a store tell it; wherever others are told of too, it is left out.
    shelf: Shelf = field(default=Shelf(), compare=False)

    @property
    def active(self) -> bool:
        """Whether the user is a member now."""
        return self.left_id is None

    def floor(self, expired_id: MessageId) -> MessageId:
        """Return the newest id that the user may not see: from before the membership, or over its time."""
        return max(self.joined_id, expired_id)


@dataclass(frozen=True, slots=True)
class Chain:
    """The messages and changes of one sub-partition: the first (0 in the first chain) and the newest of them."""

    first_id: MessageId
    last_id: MessageId


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation. ``members`` holds the active members' ids up to ``max_group_small`` and is None above.

    ``last_message_id`` is its newest message; ``chains`` are those that have anything, by their sub-partition.
    ``hot_k``: over how many sub-partitions new messages are spread; 1: they are not. ``version`` changes with every
    change of the members. What is not above ``expired_id`` was over its time: members see it no more, whether it is
    deleted or held. ``timer_s``: after how many seconds the members themselves want it so. ``encrypted``, from its
    creation on and for good: the server cannot read what its members write (docs/decisions/0041). ``picture``: of a
    group, the file that its members see beside its name.
    """

    id: ConversationId
    type: ConversationType
    created_at: datetime
    name: str
    members_count: int
    members: frozenset[UserId] | None
    last_message_id: MessageId | None
    created_by: UserId | None = None
    hot_k: int = 1
    chains: Mapping[int, Chain] = field(default_factory=dict)
    version: int = field(default=0, compare=False)
    expired_id: MessageId = MessageId(0)
    timer_s: int | None = None
    encrypted: bool = False
    picture: MediaId | None = None

    @property
    def activity_id(self) -> MessageId:
        """What orders the inbox: the last message's id, or, before there is one, the time of creation as an id."""
        if self.last_message_id is not None:
            return self.last_message_id
        return first_id_at(int(self.created_at.timestamp() * 1000))

    @property
    def mark(self) -> Mark:
        """What somebody holds of it who holds everything."""
        return {sub: chain.last_id for sub, chain in self.chains.items()}


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One row of ``messages``. ``kind``: ``text`` or ``event``; an event's ``body`` is the JSON of ``frames.Event``.

    ``body`` stays as it was written. What changes have made of it since is folded in beside it, and given back by
    reads only: ``edit_id``, ``edited_body`` and ``edited_mentions`` are the newest edit, ``delete_id`` is the deletion,
    ``takedown_id`` the newest decision of moderators, and ``withheld`` what that was.
    """

    conversation_id: ConversationId
    message_id: MessageId
    sender_id: UserId
    client_msg_id: bytes
    body: str
    media: list[str] = field(default_factory=list)
    prev_id: MessageId | None = None
    reply_to: MessageId | None = None
    kind: str = "text"
    forwarded: bool = False
    edit_id: MessageId | None = None
    edited_body: str = ""
    delete_id: MessageId | None = None
    takedown_id: MessageId | None = None
    withheld: bool = False
    mentions: list[UserId] = field(default_factory=list)
    edited_mentions: list[UserId] = field(default_factory=list)

    @property
    def readable(self) -> bool:
        """Whether members may read it: it is neither deleted nor withheld."""
        return self.delete_id is None and not self.withheld

    @property
    def text(self) -> str:
        """The text as it is to be read now."""
        return self.last_text if self.readable else ""

    @property
    def last_text(self) -> str:
        """The text as its author left it, whoever may read it: for those who judge it."""
        return self.body if self.edit_id is None else self.edited_body

    @property
    def mentioned(self) -> list[UserId]:
        """Whom it mentions now."""
        if not self.readable:
            return []
        return self.mentions if self.edit_id is None else self.edited_mentions


class MessageChangeKind(StrEnum):
    """What may be done to a message after it was sent: the first four by members, the others by moderators."""

    EDIT = "edit"
    DELETE = "delete"
    REACT = "react"
    PIN = "pin"
    TAKEDOWN = "takedown"
    RESTORE = "restore"


#: What members may do.
MemberChangeKind = Literal[
    MessageChangeKind.EDIT, MessageChangeKind.DELETE, MessageChangeKind.REACT, MessageChangeKind.PIN
]


@dataclass(frozen=True, slots=True)
class StoredChange:
    """One row of ``message_changes``: what ``actor_id`` did to ``target_id``.

    ``body`` and ``mentions`` go with an edit; ``emoji``, ``on`` and ``count`` (how many had put the emoji there, after
    it) with a reaction; ``on`` also with a pin.
    """

    conversation_id: ConversationId
    change_id: MessageId
    target_id: MessageId
    actor_id: UserId
    client_msg_id: bytes
    kind: MessageChangeKind
    body: str = ""
    emoji: str = ""
    on: bool = False
    count: int = 0
    prev_id: MessageId | None = None
    mentions: list[UserId] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tally:
    """What a message got of one emoji, for one reader: ``mine`` says whether it is among the ``count``.

    ``users`` are the first few, in the order in which they reacted.
    """

    emoji: str
    count: int
    mine: bool
    users: tuple[UserId, ...]


@dataclass(frozen=True, slots=True)
class Pin:
    """A message that is pinned: by whom, and by which change."""

    message_id: MessageId
    change_id: MessageId
    user_id: UserId


#: Users that a tally names.
TALLY_USERS: Final = 8


@dataclass(frozen=True, slots=True)
class Unread:
    """How many messages of others a user has not read, up to a cap, and whether one of these mentions the user."""

    count: int = 0
    mentioned: bool = False


@dataclass(frozen=True, slots=True)
class DedupeKey:
    """What makes a message or change the same one: conversation, sender and the client's UUID (16 bytes)."""

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
