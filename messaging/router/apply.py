"""The router's decisions for one poll: records in, rows written, deliveries out (design sections 1, 2 and 7).

Synchronous: runs as one crossing into a database thread. Reading the same records again gives the
same ids and the same ``prev``, so everything here may be repeated.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from uuid import UUID

import msgspec
from prometheus_client import Counter

from messaging.domain import events, frames, ids
from messaging.domain.errors import Forbidden, TooManyMembers
from messaging.domain.ids import ConversationId, MessageId, UserId, conversation_ref, server_id, user_ref
from messaging.domain.limits import Limits
from messaging.domain.messages import DedupeKey, Role, StoredMessage
from messaging.ports import ConversationStore, MessageStore, Placed, Record
from messaging.router.conversations import ConversationCache
from messaging.selectors.history import message_frame

logger = logging.getLogger(__name__)

MESSAGES = Counter("chat_router_messages_total", "Messages stored and fanned out.")
DUPLICATES = Counter("chat_router_duplicates_total", "Later copies of a message that were dropped.")
STRANGERS = Counter(
    "chat_router_strangers_total", "Messages dropped because their sender was no member at that place of the log."
)


#: Members of a group, where the settings say nothing else.
MAX_MEMBERS: Final = Limits().max_members
#: Users that a change names in the history; every member would receive a longer list, 5,000 times over.
_MAX_NAMED: Final = 100


@dataclass(slots=True)
class Applied:
    """What one poll leads to, once its rows are durable."""

    deliveries: list[events.Deliver] = field(default_factory=list)
    #: Records nobody can read, and why.
    poison: list[tuple[Record, str]] = field(default_factory=list)
    #: Who wrote what, for the receipts that will come back.
    authors: list[tuple[ConversationId, MessageId, UserId]] = field(default_factory=list)


class Applier:
    """Applies records of the ``messages`` topic to the stores, in order."""

    def __init__(
        self, *, messages: MessageStore, conversations: ConversationStore, max_members: int = MAX_MEMBERS
    ) -> None:
        self._messages = messages
        self._conversations = conversations
        self._max_members = max_members
        self._cache = ConversationCache(conversations)

    def apply(self, records: Sequence[Record]) -> Applied:
        """Store what the records say and return what to deliver. Nothing is delivered that is not stored.

        Raises:
            Exception: a store failed; nothing may be committed, and the same records come again.
        """
        try:
            return _Poll(self._messages, self._conversations, self._cache, self._max_members).apply(records)
        except Exception:
            # The cache may be ahead of a write that failed.
            self._cache.clear()
            raise

    def forget(self) -> None:
        """Forget what was remembered of conversations: their partitions may have been somebody else's meanwhile."""
        self._cache.clear()


def _decode(record: Record) -> tuple[MessageId, DedupeKey, events.LogEvent]:
    """Return the record's id, what makes it the same message, and what it says. Raises events.Poison."""
    event = events.decode_log_event(record.payload)
    conversation = int.from_bytes(record.key, "big")
    if len(record.key) != 8 or not 0 < conversation <= ids.MAX_ID:
        raise events.Poison("key")
    try:
        message_id = ids.message_id_at(ts_ms=record.ts_ms, sub=0, offset=record.offset)
    except ValueError:
        # Nobody was acked: the gateway could not compute the id, either.
        raise events.Poison("time") from None
    author = event.sender if isinstance(event, events.MessageSent) else event.actor
    return message_id, DedupeKey(ConversationId(conversation), author, event.client_msg_id), event


class _Poll:
    """One poll in the making."""

    def __init__(
        self, messages: MessageStore, conversations: ConversationStore, cache: ConversationCache, max_members: int
    ) -> None:
        self._messages = messages
        self._conversations = conversations
        self._cache = cache
        self._max_members = max_members
        self._out = Applied()
        self._rows: list[StoredMessage] = []
        self._recipients: dict[ConversationId, Sequence[UserId]] = {}
        self._placed: dict[DedupeKey, Placed] = {}

    def apply(self, records: Sequence[Record]) -> Applied:
        decoded: list[tuple[MessageId, DedupeKey, events.LogEvent]] = []
        first: dict[ConversationId, MessageId] = {}
        for record in records:
            try:
                message_id, key, event = _decode(record)
            except events.Poison as error:
                self._out.poison.append((record, str(error)))
                continue
            first.setdefault(key.conversation_id, message_id)
            decoded.append((message_id, key, event))
        self._cache.load(first)
        placed = self._messages.find_placed([key for _, key, _ in decoded])
        self._placed = dict(placed)
        for message_id, key, event in decoded:
            if isinstance(event, events.MessageSent):
                self._on_message(message_id, key, event)
            else:
                self._on_change(message_id, key, event)
        if self._rows:
            # Nobody else reads these partitions, so what was found still holds.
            self._messages.upsert(self._rows, recipients=self._recipients, placed=placed)
            MESSAGES.inc(len(self._rows))
        return self._out

    def _on_message(self, message_id: MessageId, key: DedupeKey, event: events.MessageSent) -> None:
        audience = self._audience(message_id, key)
        if audience is None:
            STRANGERS.inc()
            self._refuse(key, event)
            return
        row = self._place(
            message_id,
            key,
            StoredMessage(
                conversation_id=key.conversation_id,
                message_id=message_id,
                sender_id=event.sender,
                client_msg_id=event.client_msg_id,
                body=event.body,
                media=event.media,
                reply_to=event.reply_to,
            ),
        )
        if row is not None:
            self._deliver(row, audience, trace=event.trace)

    def _audience(self, message_id: MessageId, key: DedupeKey) -> frozenset[UserId] | None:
        """Return who is to get a message; None where its sender was no member at its place in the log."""
        known = self._cache.get(key.conversation_id)
        if known is not None and key.sender_id not in known.members:
            # A member that was added after the entry was read is one, too.
            known = self._cache.refresh(key.conversation_id, at=message_id)
        if known is None:
            return None
        readers = known.readers(message_id)
        if key.sender_id in known.members:
            return readers | {key.sender_id}
        # The store may be ahead of this place in the log: who left at a later one was still a member here, and the
        # message was acked.
        place = self._conversations.membership(key.sender_id, key.conversation_id)
        if place is None or place.left_id is None or not place.joined_id < message_id <= place.left_id:
            return None
        return readers | {key.sender_id}

    def _place(self, message_id: MessageId, key: DedupeKey, row: StoredMessage) -> StoredMessage | None:
        """Return the row with its ``prev``, or None for a later copy, whose sender is told the first one's id."""
        first = self._placed.get(key)
        known = self._cache.get(key.conversation_id)
        if first is not None and first.message_id != message_id:
            DUPLICATES.inc()
            ack = frames.Ack(
                str(UUID(bytes=key.client_msg_id)),
                server_id(key.conversation_id, first.message_id),
                ids.timestamp_ms(first.message_id),
            )
            self._out.deliveries.append(events.Deliver([key.sender_id], ack))
            return None
        if first is not None:
            # Read again after a crash, with the ``prev`` it was given then. It is written again as well: where a
            # store has no transactions, the crash may have come between its dedupe row and the others.
            prev_id = first.prev_id
        else:
            prev_id = known.last_id if known is not None else None
            self._placed[key] = Placed(message_id, prev_id)
        row = replace(row, prev_id=prev_id)
        if known is not None and (known.last_id is None or known.last_id < message_id):
            known.last_id = message_id
        self._rows.append(row)
        if known is not None and known.indexed_by_user:
            self._recipients[key.conversation_id] = tuple(known.members)
        return row

    def _refuse(self, key: DedupeKey, event: events.MessageSent) -> None:
        error = frames.Error(
            Forbidden.code, "you are not a member of this conversation", str(UUID(bytes=event.client_msg_id))
        )
        self._out.deliveries.append(events.Deliver([event.sender], error))

    def _deliver(self, row: StoredMessage, members: frozenset[UserId], *, trace: bytes = b"") -> None:
        self._out.authors.append((row.conversation_id, row.message_id, row.sender_id))
        others = message_frame(row, viewer=UserId(0))
        own = message_frame(row, viewer=row.sender_id)
        self._out.deliveries.append(
            events.Deliver(list(members), others, author=row.sender_id, own=own if own != others else None, trace=trace)
        )

    def _on_change(self, message_id: MessageId, key: DedupeKey, event: events.ConversationChanged) -> None:
        before = self._cache.get(key.conversation_id)
        if before is None:
            return
        if event.change == "member_added" and not self._add(message_id, key.conversation_id, event.users):
            return
        removed: list[UserId] = []
        if event.change in ("member_removed", "member_left"):
            removed = event.users
            for user in removed:
                self._conversations.end_membership(user, key.conversation_id, at=message_id)
        known = self._cache.refresh(key.conversation_id, at=message_id)
        if known is None:
            return
        named = [user_ref(user) for user in event.users[:_MAX_NAMED]]
        told = frames.Event(event.change, named, event.name, event.role)
        row = self._place(
            message_id,
            key,
            StoredMessage(
                conversation_id=key.conversation_id,
                message_id=message_id,
                sender_id=event.actor,
                client_msg_id=event.client_msg_id,
                body=msgspec.json.encode(told).decode(),
                kind="event",
            ),
        )
        if row is None:
            return
        ref = conversation_ref(key.conversation_id)
        by = user_ref(event.actor)
        self._out.deliveries.append(events.Deliver(list(known.members), frames.Conv(ref, _HINTS[event.change], by)))
        if removed:
            self._out.deliveries.append(events.Deliver(removed, frames.Conv(ref, "removed", by)))
        self._deliver(row, known.readers(message_id) | frozenset(removed))

    def _add(self, message_id: MessageId, conversation_id: ConversationId, users: Sequence[UserId]) -> bool:
        """Make users members at this place; return False where others were quicker and there is no room for them."""
        try:
            self._conversations.add_members(
                conversation_id, users, role=Role.MEMBER, limit=self._max_members, at=message_id
            )
        except TooManyMembers:
            # Whoever asked for it was told the same by the store.
            return False
        return True


_HINTS: dict[events.ChangeKind, Literal["created", "members", "role", "renamed"]] = {
    "created": "created",
    "member_added": "members",
    "member_removed": "members",
    "member_left": "members",
    "role_changed": "role",
    "renamed": "renamed",
}
