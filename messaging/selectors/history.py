"""What was said: pages of one conversation, and what a device missed (design sections 2, 5 and 6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from chatproject import container
from messaging.domain import frames, ids
from messaging.domain.errors import InvalidInput
from messaging.domain.ids import ConversationId, Mark, MessageId, UserId
from messaging.domain.limits import Limits
from messaging.domain.mentions import mention_refs
from messaging.domain.messages import MessageChangeKind, StoredChange, StoredMessage, Tally
from messaging.ports import Standing
from messaging.selectors.access import require_member
from messaging.selectors.cursors import seal, unseal

_SCOPE: Final = "history"
#: Messages that one sync sends of conversations the device named no mark for; the newest of each go in any case.
_UNNAMED_BUDGET: Final = 1_000
_UNNAMED_CONVERSATIONS: Final = 100
#: What a reaction takes in a frame, and each user that it names; about.
_REACTION_BYTES, _USER_BYTES = 60, 17

_event = msgspec.json.Decoder(frames.Event)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Messages as they are now, newest first. ``next`` leads to older, ``prev`` to newer ones; None without any.

    ``mark``: changes up to there are in the results; None where the user can see nothing.
    """

    results: list[frames.Msg]
    next: str | None
    prev: str | None
    mark: str | None


def message_frame(message: StoredMessage, *, viewer: UserId, tallies: Sequence[Tally] = ()) -> frames.Msg:
    """Return the message as ``viewer`` may see it; the client's own id goes to its sender only.

    Of one that was deleted nothing is left but its place; of one that is withheld, its place and its reactions; of one
    that was edited, the newest text.
    """
    conversation = message.conversation_id
    is_event = message.kind == "event"
    deleted = message.delete_id is not None
    shown = message.readable
    return frames.Msg(
        server_id=ids.server_id(conversation, message.message_id),
        conv=ids.conversation_ref(conversation),
        sender=ids.user_ref(message.sender_id),
        ts=ids.timestamp_ms(message.message_id),
        body="" if is_event else message.text,
        media=message.media if shown else [],
        prev=_ref(conversation, message.prev_id),
        reply_to=_ref(conversation, message.reply_to) if shown else None,
        msg_id=str(UUID(bytes=message.client_msg_id)) if message.sender_id == viewer else None,
        kind="event" if is_event else "text",
        event=_event.decode(message.body) if is_event else None,
        forwarded=message.forwarded and shown,
        edited_at=ids.timestamp_ms(message.edit_id) if shown and message.edit_id is not None else None,
        deleted=deleted,
        reactions=[] if deleted else [_reaction(tally) for tally in tallies],
        withheld=message.withheld and not deleted,
        mentions=mention_refs(message.mentioned),
    )


def _ref(conversation: ConversationId, number: MessageId | None) -> str | None:
    return None if number is None else ids.server_id(conversation, number)


def expired_before(conversation: ConversationId, expired_id: MessageId) -> str | None:
    """Return the id before which everything is over its time, and to be dropped by whoever holds it; None for none."""
    return _ref(conversation, MessageId(expired_id + 1)) if expired_id else None


def _reaction(tally: Tally) -> frames.Reaction:
    return frames.Reaction(tally.emoji, tally.count, tally.mine, [ids.user_ref(user) for user in tally.users])


def change_frame(change: StoredChange, *, viewer: UserId, target: StoredMessage | None = None) -> frames.Change:
    """Return the change as those see it who can see its target; the client's own id goes to its author only.

    ``target``: what is given back, where the change gives back; without it only the place in the chain.
    """
    conversation = change.conversation_id
    what = {
        "server_id": ids.server_id(conversation, change.change_id),
        "target": ids.server_id(conversation, change.target_id),
        "conv": ids.conversation_ref(conversation),
    }
    place = {**what, "sender": ids.user_ref(change.actor_id)}
    ts = ids.timestamp_ms(change.change_id)
    prev = _ref(conversation, change.prev_id)
    msg_id = str(UUID(bytes=change.client_msg_id)) if change.actor_id == viewer else None
    match change.kind:
        case MessageChangeKind.EDIT:
            mentions = mention_refs(change.mentions)
            return frames.EditEvent(**place, ts=ts, body=change.body, prev=prev, msg_id=msg_id, mentions=mentions)
        case MessageChangeKind.DELETE:
            return frames.DeleteEvent(**place, ts=ts, prev=prev, msg_id=msg_id)
        case MessageChangeKind.REACT:
            return frames.ReactEvent(
                **place, ts=ts, emoji=change.emoji, on=change.on, count=change.count, prev=prev, msg_id=msg_id
            )
        case MessageChangeKind.PIN:
            return frames.PinEvent(**place, ts=ts, on=change.on, prev=prev, msg_id=msg_id)
        case MessageChangeKind.TAKEDOWN:
            return frames.TakedownEvent(**what, ts=ts, prev=prev)
        case MessageChangeKind.RESTORE:
            if target is None:
                return link_frame(change)
            now = message_frame(target, viewer=viewer)
            return frames.RestoreEvent(
                **what,
                ts=ts,
                body=now.body,
                media=now.media,
                reply_to=now.reply_to,
                forwarded=now.forwarded,
                edited_at=now.edited_at,
                prev=prev,
                mentions=now.mentions,
            )


def link_frame(change: StoredChange) -> frames.Link:
    """Return the change as those see it who cannot see its target: its place in the chain."""
    conversation = change.conversation_id
    return frames.Link(
        server_id=ids.server_id(conversation, change.change_id),
        conv=ids.conversation_ref(conversation),
        prev=_ref(conversation, change.prev_id),
    )


def backfill(user_id: UserId, marks: Mapping[ConversationId, Mark], *, limits: Limits) -> list[frames.Backfill]:
    """Return what a device with these marks has not got, oldest first in each conversation (design section 6).

    A replay starts a safety margin before the mark; a conversation with nothing newer than the mark
    itself yields nothing. Conversations without a mark count when they are newer than every mark.
    Marks of conversations that the user never was in are passed over.
    """
    store = container.conversation_store()
    unnamed = store.active_since(user_id, _newest(marks), besides=marks.keys(), limit=_UNNAMED_CONVERSATIONS)
    standing = store.memberships(user_id, [*marks, *unnamed])
    found: list[frames.Backfill] = []
    for conversation, mark in marks.items():
        stands = standing.get(conversation)
        if stands is None:
            continue
        stretch = _Stretch.after(mark, stands)
        if stretch.has_news:
            found.append(_replay(user_id, stands, stretch, limit=limits.max_backfill, limits=limits))
    budget = _UNNAMED_BUDGET
    for conversation in unnamed:
        stands = standing.get(conversation)
        if stands is None:
            continue
        stretch = _Stretch.after({}, stands)
        if not stretch.has_news:
            continue
        most = max(1, min(limits.max_backfill, budget))
        part = _replay(user_id, stands, stretch, limit=most, limits=limits, new=True)
        budget -= len(part.messages)
        if part.messages:
            found.append(part)
    return found


def has_unnamed(user_id: UserId, marks: Mapping[ConversationId, Mark]) -> bool:
    """Return whether the user has conversations without a mark in which there is something newer than every mark."""
    newest_mark = _newest(marks)
    return bool(container.conversation_store().active_since(user_id, newest_mark, besides=marks.keys(), limit=1))


def _newest(marks: Mapping[ConversationId, Mark]) -> MessageId:
    return max((newest for mark in marks.values() for newest in mark.values()), default=MessageId(0))


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What a device has not got of a conversation: of each chain what comes after one id and up to another.

    ``starts`` are of all chains, the margin included; ``news``: those of which there is something newer than the mark.
    """

    starts: Mapping[int, MessageId]
    ends: Mapping[int, MessageId]
    news: frozenset[int]

    @classmethod
    def after(cls, mark: Mark, stands: Standing) -> "_Stretch":
        starts: dict[int, MessageId] = {}
        ends: dict[int, MessageId] = {}
        news = set()
        left_id = stands.membership.left_id
        for sub, chain in stands.chains.items():
            # Whoever names no mark of a chain has nothing of it.
            held = mark.get(sub, MessageId(0))
            start = ids.replay_start(held) if sub in mark else MessageId(chain.first_id - 1)
            starts[sub] = MessageId(max(start, stands.floor))
            ends[sub] = chain.last_id if left_id is None else min(chain.last_id, left_id)
            if ends[sub] > max(held, stands.floor):
                news.add(sub)
        return cls(starts, ends, frozenset(news))

    @property
    def has_news(self) -> bool:
        return bool(self.news)

    @property
    def start(self) -> MessageId:
        return min(self.starts[sub] for sub in self.news)

    @property
    def end(self) -> MessageId:
        return max(self.ends.values())

    @property
    def mark(self) -> Mark:
        """What whoever takes it all has. Where the user has left, that is a place in the chain and perhaps no row."""
        return {sub: ids.in_sub(end, sub) for sub, end in self.ends.items()}

    def has(self, row: MessageId) -> bool:
        """Return whether a row is of this stretch. Others lie between: one chain may be far behind another."""
        sub = ids.sub_of(row)
        return sub in self.starts and self.starts[sub] < row <= self.ends[sub]


def _replay(
    user_id: UserId, stands: Standing, stretch: _Stretch, *, limit: int, limits: Limits, new: bool = False
) -> frames.Backfill:
    """Return what is of ``stretch``. ``new``: to a device that holds nothing there.

    It ended with the newest when it was asked for: what has come since stays out, so that the two lists end together.
    """
    store = container.message_store()
    conversation = stands.membership.conversation_id
    after, upto = stretch.start, stretch.end
    newest = store.newest(conversation, after=after, upto=upto, limit=limit + 1)
    if len(newest) <= limit:
        newest = [message for message in newest if stretch.has(message.message_id)]
    most = limits.max_backfill_changes
    changes = store.newest_changes(conversation, after=after, upto=upto, limit=most + 1)
    if len(changes) <= most:
        changes = [change for change in changes if stretch.has(change.change_id)]
    # What came after the first of these messages was reacted to after it, too.
    refs = [(conversation, message.message_id) for message in newest] if changes else []
    tallies = store.reactions(refs, viewer=user_id) if refs else {}
    as_frames = [
        message_frame(message, viewer=user_id, tallies=tallies.get((conversation, message.message_id), ()))
        for message in newest
    ]
    sizes = [_size(frame) for frame in as_frames]
    kept = min(limit, _fitting(sizes, limits.max_backfill_bytes))
    shown = _changes(user_id, stands, changes[:most], limits.max_backfill_bytes - sum(sizes[:kept]))
    return frames.Backfill(
        conv=ids.conversation_ref(conversation),
        messages=as_frames[:kept][::-1],
        more=len(newest) > kept,
        changes=shown,
        mark=ids.mark_ref(conversation, stretch.mark),
        # A device that holds nothing has nothing that could have changed.
        stale=len(changes) > len(shown) and not new,
        expired_before=expired_before(conversation, stands.expired_id),
    )


def _changes(user_id: UserId, stands: Standing, changes: Sequence[StoredChange], max_bytes: int) -> list[frames.Change]:
    """Return the newest changes whose texts are within ``max_bytes`` together, oldest first.

    A text that is gone by now, edited once more, deleted or withheld, is not given out: its place in the chain is.
    """
    conversation = stands.membership.conversation_id
    telling = (MessageChangeKind.EDIT, MessageChangeKind.RESTORE)
    with_text = [(conversation, it.target_id) for it in changes if it.kind in telling]
    targets = container.message_store().get(list(set(with_text))) if with_text else {}
    shown: list[frames.Change] = []
    size = 0
    for change in changes:
        target = targets.get((conversation, change.target_id))
        frame = change_frame(change, viewer=user_id, target=target)
        if change.target_id <= stands.floor:
            frame = link_frame(change)
        elif change.kind in telling:
            if target is None or not target.readable or change.change_id not in (target.edit_id, target.takedown_id):
                frame = link_frame(change)
            else:
                size += len(target.text.encode())
        if size > max(0, max_bytes):
            break
        shown.append(frame)
    return shown[::-1]


def _size(frame: frames.Msg) -> int:
    reactions = sum(_REACTION_BYTES + _USER_BYTES * len(it.users) for it in frame.reactions)
    return len(frame.body.encode()) + sum(map(len, frame.media)) + reactions


def _fitting(sizes: Sequence[int], max_bytes: int) -> int:
    """Return how many of the first are within ``max_bytes`` together; one at least."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if total > max_bytes:
            return max(1, count)
    return len(sizes)


def _position(text: str | None, conversation: ConversationId) -> MessageId | None:
    """Return the message a cursor stands at; a ``server_id`` of the conversation is one, too."""
    if text is None:
        return None
    if text.startswith("m_"):
        try:
            of, message = ids.parse_server_id(text)
        except ids.InvalidId:
            raise InvalidInput("the cursor is not one of this list") from None
        if of != conversation:
            raise InvalidInput("the cursor is not one of this list")
        return message
    return MessageId(unseal(text, _SCOPE, conversation, size=1)[0])


def first_since(*, user_id: UserId, conversation_id: ConversationId, at: datetime) -> frames.Msg | None:
    """Return the first message at or after a moment, of those the user's membership shows; None where there is none.

    Raises:
        NotFound: not a member.
    """
    access = require_member(user_id, conversation_id)
    first = min(ids.first_id_at(int(at.timestamp() * 1000)), ids.MAX_ID)
    start = MessageId(max(access.floor, first - 1))
    store = container.message_store()
    found = store.oldest_after(conversation_id, after=start, limit=1)
    if not found:
        return None
    ref = (conversation_id, found[0].message_id)
    return message_frame(found[0], viewer=user_id, tallies=store.reactions([ref], viewer=user_id).get(ref, ()))


def history_page(
    *, user_id: UserId, conversation_id: ConversationId, before: str | None, after: str | None, limit: int
) -> HistoryPage:
    """Return at most ``limit`` messages, newest first, of those the user's membership shows.

    ``before`` and ``after`` are cursors (or server_ids) and exclusive. With ``after`` alone the page is
    the oldest that follows it, so that following ``prev`` skips nothing.

    Raises:
        NotFound: not a member.
        InvalidInput: a cursor is forged or of another list.
    """
    access = require_member(user_id, conversation_id)
    floor, mark = access.floor, access.conversation.mark
    older_than, newer_than = _position(before, conversation_id), _position(after, conversation_id)
    store = container.message_store()
    start = MessageId(max(newer_than or 0, floor))
    if newer_than is not None and older_than is None:
        found = store.oldest_after(conversation_id, after=start, limit=limit + 1)
        page = found[:limit][::-1]
        has_newer, has_older = len(found) > limit, start > floor
    else:
        found = store.newest(conversation_id, after=start, before=older_than, limit=limit + 1)
        page = found[:limit]
        has_newer, has_older = older_than is not None, len(found) > limit
    # At an empty page the cursors go back to where it was asked for.
    newest = page[0].message_id if page else MessageId((older_than or 1) - 1)
    oldest = page[-1].message_id if page else MessageId(start + 1)
    refs = [(conversation_id, message.message_id) for message in page]
    tallies = store.reactions(refs, viewer=user_id) if refs else {}
    return HistoryPage(
        [
            message_frame(message, viewer=user_id, tallies=tallies.get((conversation_id, message.message_id), ()))
            for message in page
        ],
        seal(_SCOPE, conversation_id, oldest) if has_older else None,
        seal(_SCOPE, conversation_id, newest) if has_newer else None,
        # Read before the messages, so that they are at least as new.
        ids.mark_ref(conversation_id, mark) if max(mark.values(), default=0) > floor else None,
    )
