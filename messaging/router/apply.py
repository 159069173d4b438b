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
from messaging.domain.changes import check_change, check_pin, check_reaction
from messaging.domain.errors import ChatError, Conflict, Forbidden, NotFound, TooManyMembers
from messaging.domain.ids import ConversationId, MessageId, UserId, conversation_ref, server_id, user_ref
from messaging.domain.limits import Limits
from messaging.domain.links import first_link
from messaging.domain.mentions import EVERYBODY, may_mention_everybody
from messaging.domain.messages import (
    ConversationType,
    DedupeKey,
    MessageChangeKind,
    Role,
    StoredChange,
    StoredMessage,
)
from messaging.ports import ConversationStore, MessageStore, Placed, Record
from messaging.router.conversations import ConversationCache, Known
from messaging.router.targets import Targets
from messaging.selectors.history import change_frame, expired_before, link_frame, message_frame

logger = logging.getLogger(__name__)

MESSAGES = Counter("chat_router_messages_total", "Messages stored and fanned out.")
CHANGES = Counter("chat_router_changes_total", "Edits, deletions, reactions and pins stored and fanned out.", ["kind"])
REFUSED = Counter("chat_router_changes_refused_total", "Changes dropped because at their place they were not allowed.")
DUPLICATES = Counter("chat_router_duplicates_total", "Later copies of a message or change that were dropped.")
STRANGERS = Counter(
    "chat_router_strangers_total", "Messages dropped because their sender was no member at that place of the log."
)


#: What holds where the settings say nothing else.
DEFAULT_LIMITS: Final = Limits()
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
    #: Messages for the readers who turn out not to be connected.
    pushes: list[events.PushIntent] = field(default_factory=list)
    #: Messages whose pushes, where there were any, say something else by now.
    changed: list[events.PushChanged] = field(default_factory=list)
    #: How far people have read.
    reads: list[events.ReadMark] = field(default_factory=list)

    #: Messages with a link.
    links: list[tuple[ConversationId, MessageId]] = field(default_factory=list)

    @property
    def linked(self) -> list[tuple[ConversationId, MessageId]]:
        """Messages whose links are to be looked at: new ones that have any, and changed ones, which may have had."""
        return [*self.links, *((it.conversation, it.message) for it in self.changed)]

    @property
    def touched(self) -> list[tuple[ConversationId, MessageId]]:
        """Messages that were written or changed: what the index has to look at."""
        return [*(it[:2] for it in self.authors), *((it.conversation, it.message) for it in self.changed)]


class Applier:
    """Applies records of the topic ``messages``, or of ``hot``, to the stores, in order."""

    def __init__(
        self,
        *,
        messages: MessageStore,
        conversations: ConversationStore,
        limits: Limits = DEFAULT_LIMITS,
        sees_changes: bool = True,
    ) -> None:
        """``sees_changes``: whether the records include the changes of members, which are in the topic ``messages``."""
        self._messages = messages
        self._conversations = conversations
        self._limits = limits
        self._cache = ConversationCache(conversations, sees_changes=sees_changes)

    def apply(self, records: Sequence[Record]) -> Applied:
        """Store what the records say and return what to deliver. Nothing is delivered that is not stored.

        Raises:
            Exception: a store failed; nothing may be committed, and the same records come again.
        """
        try:
            return _Poll(self._messages, self._conversations, self._cache, self._limits).apply(records)
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
    try:
        conversation, sub = ids.parse_record_key(record.key)
    except ids.InvalidId:
        raise events.Poison("key") from None
    try:
        message_id = ids.message_id_at(ts_ms=record.ts_ms, sub=sub, offset=record.offset)
    except ValueError:
        # Nobody was acked: the gateway could not compute the id, either.
        raise events.Poison("time") from None
    return message_id, DedupeKey(conversation, _author(event), event.client_msg_id), event


def _author(event: events.LogEvent) -> UserId:
    match event:
        case events.MessageSent():
            return event.sender
        case events.MessageModerated() | events.MessagesExpired():
            return ids.MODERATORS
    return event.actor


class _Poll:
    """One poll in the making."""

    def __init__(
        self, messages: MessageStore, conversations: ConversationStore, cache: ConversationCache, limits: Limits
    ) -> None:
        self._messages = messages
        self._conversations = conversations
        self._cache = cache
        self._limits = limits
        self._targets = Targets(messages)
        self._out = Applied()
        self._rows: list[StoredMessage] = []
        self._changes: list[StoredChange] = []
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
        self._load_targets(decoded)
        for message_id, key, event in decoded:
            match event:
                case events.MessageSent():
                    self._on_message(message_id, key, event)
                case events.MessageChanged():
                    self._on_message_change(message_id, key, event)
                case events.MessageModerated():
                    self._on_moderation(message_id, key, event)
                case events.ConversationChanged():
                    self._on_change(message_id, key, event)
                case events.MessagesExpired():
                    self._on_expiry(message_id, key.conversation_id, event)
        if self._rows or self._changes:
            # Nobody else reads these partitions, so what was found still holds; but for what was sent again across a
            # change of ``hot_k``, where another reader may have been quicker. Then the poll begins anew, and finds it.
            self._messages.upsert(self._rows, changes=self._changes, placed=placed)
            MESSAGES.inc(len(self._rows))
            for change in self._changes:
                CHANGES.labels(change.kind.value).inc()
        return self._out

    def _load_targets(self, decoded: Sequence[tuple[MessageId, DedupeKey, events.LogEvent]]) -> None:
        changes = [
            ((key.conversation_id, event.target), event)
            for _, key, event in decoded
            if isinstance(event, events.MessageChanged | events.MessageModerated)
        ]
        reacting = [
            (ref, event.actor)
            for ref, event in changes
            if isinstance(event, events.MessageChanged) and event.kind == "react"
        ]
        pinning = [
            ref[0]
            for ref, event in changes
            if isinstance(event, events.MessageChanged) and event.kind == "pin" and event.on
        ]
        self._targets.load([ref for ref, _ in changes], reacting, pinning)

    def _on_message(self, message_id: MessageId, key: DedupeKey, event: events.MessageSent) -> None:
        audience = self._audience(message_id, key)
        if audience is None:
            STRANGERS.inc()
            self._refuse(key, Forbidden("you are not a member of this conversation"))
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
                forwarded=event.forwarded,
                mentions=self._named(key, event.mentions, audience),
            ),
        )
        if row is not None:
            self._deliver(row, audience, trace=event.trace)
            others = list(audience - {event.sender})
            self._out.pushes.append(events.PushIntent(key.conversation_id, message_id, event.sender, others))

    def _named(self, key: DedupeKey, mentions: Sequence[UserId], readers: frozenset[UserId]) -> list[UserId]:
        """Return whom its author may mention here: those who can read it, and all at once with the right to it."""
        if not mentions:
            return []
        named = [user for user in mentions if user in readers]
        known = self._cache.get(key.conversation_id)
        if EVERYBODY in mentions and known is not None:
            role = Role.MEMBER
            if known.type is ConversationType.GROUP_LARGE:
                place = self._conversations.membership(key.sender_id, key.conversation_id)
                role = Role.MEMBER if place is None else place.role
            if may_mention_everybody(known.type, role):
                named.append(EVERYBODY)
        return named

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
        if self._is_copy(message_id, key):
            return None
        known = self._cache.get(key.conversation_id)
        row = replace(row, prev_id=self._chain(message_id, key, known))
        self._rows.append(row)
        self._targets.add(row)
        return row

    def _is_copy(self, message_id: MessageId, key: DedupeKey) -> bool:
        """Return whether an earlier record was the same message or change; if so, its sender is told that one's id."""
        first = self._placed.get(key)
        if first is None or first.message_id == message_id:
            return False
        DUPLICATES.inc()
        ack = frames.Ack(
            str(UUID(bytes=key.client_msg_id)),
            server_id(key.conversation_id, first.message_id),
            ids.timestamp_ms(first.message_id),
        )
        self._out.deliveries.append(events.Deliver([key.sender_id], ack))
        return True

    def _chain(self, message_id: MessageId, key: DedupeKey, known: Known | None) -> MessageId | None:
        """Return what stands before a message or change, which is the newest of its chain from here on."""
        sub = ids.sub_of(message_id)
        first = self._placed.get(key)
        if first is not None:
            # Read again after a crash, with the ``prev`` it was given then. It is written again as well: where a
            # store has no transactions, the crash may have come between its dedupe row and the others.
            prev_id = first.prev_id
        else:
            prev_id = known.last_ids.get(sub) if known is not None else None
            self._placed[key] = Placed(message_id, prev_id)
        if known is not None:
            known.last_ids[sub] = max(known.last_ids.get(sub, message_id), message_id)
        return prev_id

    def _refuse(self, key: DedupeKey, error: ChatError) -> None:
        frame = frames.Error(error.code, error.detail, str(UUID(bytes=key.client_msg_id)))
        self._out.deliveries.append(events.Deliver([key.sender_id], frame))

    def _deliver(self, row: StoredMessage, members: frozenset[UserId], *, trace: bytes = b"") -> None:
        self._out.authors.append((row.conversation_id, row.message_id, row.sender_id))
        if first_link(row.body) is not None:
            self._out.links.append((row.conversation_id, row.message_id))
        others = message_frame(row, viewer=UserId(0))
        known = self._cache.get(row.conversation_id)
        if known is not None and known.type is ConversationType.GROUP_LARGE:
            # Thousands of receipts in one instant would stand in the way of the message itself.
            others = msgspec.structs.replace(others, spread_ms=self._limits.receipt_spread_ms)
        own = message_frame(row, viewer=row.sender_id)
        self._out.deliveries.append(
            events.Deliver(list(members), others, author=row.sender_id, own=own if own != others else None, trace=trace)
        )

    # --- changes of messages ----------------------------------------------------------------------

    def _on_message_change(self, change_id: MessageId, key: DedupeKey, event: events.MessageChanged) -> None:
        if event.erased:
            self._on_erasure(change_id, key, event)
            return
        if self._is_copy(change_id, key):
            return
        audience = self._audience(change_id, key)
        known = self._cache.get(key.conversation_id)
        try:
            if audience is None or known is None:
                raise Forbidden("you are not a member of this conversation")
            if key not in self._placed:
                self._check(change_id, key, event, known)
        except ChatError as error:
            REFUSED.inc()
            self._refuse(key, error)
            return
        change = StoredChange(
            conversation_id=key.conversation_id,
            change_id=change_id,
            target_id=event.target,
            actor_id=event.actor,
            client_msg_id=event.client_msg_id,
            kind=MessageChangeKind(event.kind),
            body=event.body,
            emoji=event.emoji,
            on=event.on,
            prev_id=self._chain(change_id, key, known),
            mentions=self._named(key, event.mentions, audience),
        )
        self._make(change, audience, known, trace=event.trace)

    def _on_moderation(self, change_id: MessageId, key: DedupeKey, event: events.MessageModerated) -> None:
        """Withhold a message, or give it back. Moderators are no members, so only the target is looked at."""
        self._on_act(
            change_id, key, event.target, MessageChangeKind.TAKEDOWN if event.on else MessageChangeKind.RESTORE
        )

    def _on_erasure(self, change_id: MessageId, key: DedupeKey, event: events.MessageChanged) -> None:
        """Delete what somebody wrote whose account is erased, and who may be no member any more."""
        self._on_act(change_id, key, event.target, MessageChangeKind.DELETE, author=event.actor)

    def _on_act(
        self,
        change_id: MessageId,
        key: DedupeKey,
        target_id: MessageId,
        kind: MessageChangeKind,
        *,
        author: UserId | None = None,
    ) -> None:
        """Make a change that nobody need be a member for; of ``author``'s messages only, and once, where there is one.

        One that cannot be made is dropped: nobody waits for an answer.
        """
        if self._is_copy(change_id, key):
            return
        known = self._cache.get(key.conversation_id)
        try:
            if known is None:
                raise NotFound("no such conversation")
            if key not in self._placed:
                target = self._target_of(change_id, key, target_id, known)
                if author is not None and (target.sender_id != author or target.delete_id is not None):
                    raise Conflict("it is another's, or deleted")
        except ChatError:
            REFUSED.inc()
            return
        change = StoredChange(
            conversation_id=key.conversation_id,
            change_id=change_id,
            target_id=target_id,
            actor_id=key.sender_id,
            client_msg_id=key.client_msg_id,
            kind=kind,
            prev_id=self._chain(change_id, key, known),
        )
        self._make(change, known.readers(change_id), known)

    def _make(self, change: StoredChange, readers: frozenset[UserId], known: Known, *, trace: bytes = b"") -> None:
        """Let a change count, and tell its readers of it, and those who show what it changes."""
        change = self._targets.fold(change)
        self._changes.append(change)
        if change.kind not in (MessageChangeKind.REACT, MessageChangeKind.PIN):
            self._out.changed.append(events.PushChanged(change.conversation_id, change.target_id))
        self._deliver_change(change, readers, known, trace=trace)

    def _target_of(self, change_id: MessageId, key: DedupeKey, target_id: MessageId, known: Known) -> StoredMessage:
        """Return what a change that is read for the first time is about. Raises Conflict, NotFound."""
        if change_id <= known.last_ids.get(ids.sub_of(change_id), 0):
            # Read again, and what is stored has nothing of it: it was refused the first time, and has no place in the
            # chain, whatever might allow it by now.
            raise Conflict("this change could not be made")
        target = self._targets.get((key.conversation_id, target_id))
        if target is None or target.message_id >= change_id:
            raise NotFound("no such message")
        return target

    def _check(self, change_id: MessageId, key: DedupeKey, event: events.MessageChanged, known: Known) -> None:
        """Pass a change that is allowed at its place in the log. Raises ChatError."""
        target = self._target_of(change_id, key, event.target, known)
        ref = (key.conversation_id, event.target)
        kind = MessageChangeKind(event.kind)
        joined_id = known.since.get(event.actor, MessageId(0))
        place = None
        direct = known.type is ConversationType.DM
        of_others = kind is MessageChangeKind.DELETE and target.sender_id != event.actor
        by_role = of_others or (kind is MessageChangeKind.PIN and not direct)
        if by_role or event.actor not in known.members:
            # A role, or the stay of somebody who has left since.
            place = self._conversations.membership(event.actor, key.conversation_id)
            joined_id = joined_id if place is None else place.joined_id
        check_change(
            kind,
            target,
            actor=event.actor,
            joined_id=joined_id,
            moderator=not direct and place is not None and place.role.moderates,
            direct=direct,
            body=event.body,
            age_ms=ids.timestamp_ms(change_id) - ids.timestamp_ms(event.target),
            before=change_id,
            limits=self._limits,
        )
        if kind is MessageChangeKind.REACT and event.on:
            mine = self._targets.emoji_of(ref, event.actor)
            check_reaction(event.emoji, mine=mine, all_emoji=self._targets.counts(ref), limits=self._limits)
        if kind is MessageChangeKind.PIN and event.on:
            check_pin(event.target, pinned=self._targets.pinned(key.conversation_id), limits=self._limits)

    def _deliver_change(self, change: StoredChange, readers: frozenset[UserId], known: Known, *, trace: bytes) -> None:
        """Show the change to those who can see its target; the others get its place in the chain and no more."""
        blind = known.blind(readers, change.target_id)
        target = self._targets.get((change.conversation_id, change.target_id))
        others = change_frame(change, viewer=UserId(0), target=target)
        own = change_frame(change, viewer=change.actor_id, target=target)
        self._out.deliveries.append(
            events.Deliver(list(readers - blind), others, author=change.actor_id, own=own, trace=trace)
        )
        if blind:
            self._out.deliveries.append(events.Deliver(list(blind), link_frame(change)))

    def _on_expiry(self, place: MessageId, conversation_id: ConversationId, event: events.MessagesExpired) -> None:
        """Tell who is connected to drop what is over its time; whoever is not learns it when coming back."""
        known = self._cache.get(conversation_id)
        if known is not None:
            ref = conversation_ref(conversation_id)
            frame = frames.Backfill(ref, [], expired_before=expired_before(conversation_id, event.upto))
            self._out.deliveries.append(events.Deliver(list(known.readers(place)), frame, ephemeral=True))

    # --- changes of conversations -----------------------------------------------------------------

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
        told = frames.Event(event.change, named, event.name, event.role, event.timer_s)
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
                conversation_id, users, role=Role.MEMBER, limit=self._limits.max_members, at=message_id
            )
        except TooManyMembers:
            # Whoever asked for it was told the same by the store.
            return False
        return True


_HINTS: dict[events.ChangeKind, Literal["created", "members", "role", "renamed", "timer", "picture"]] = {
    "created": "created",
    "member_added": "members",
    "member_removed": "members",
    "member_left": "members",
    "role_changed": "role",
    "renamed": "renamed",
    "timer_set": "timer",
    "picture_set": "picture",
}
