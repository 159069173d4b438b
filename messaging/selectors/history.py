"""What was said: pages of one conversation, and what a device missed (design sections 2, 5 and 6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from chatproject import container
from messaging.domain import frames, ids
from messaging.domain.errors import InvalidInput
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.limits import Limits
from messaging.domain.messages import Membership, StoredMessage
from messaging.selectors.access import require_member
from messaging.selectors.cursors import seal, unseal

_SCOPE: Final = "history"
#: Messages that one sync sends of conversations the device named no mark for; the newest of each go in any case.
_UNNAMED_BUDGET: Final = 1_000
_UNNAMED_CONVERSATIONS: Final = 100

_event = msgspec.json.Decoder(frames.Event)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Messages, newest first. ``next`` leads to older, ``prev`` to newer ones; None where there are none."""

    results: list[frames.Msg]
    next: str | None
    prev: str | None


def message_frame(message: StoredMessage, *, viewer: UserId) -> frames.Msg:
    """Return the message as ``viewer`` may see it; the client's own id goes to its sender only."""
    conversation = message.conversation_id
    is_event = message.kind == "event"
    return frames.Msg(
        server_id=ids.server_id(conversation, message.message_id),
        conv=ids.conversation_ref(conversation),
        sender=ids.user_ref(message.sender_id),
        ts=ids.timestamp_ms(message.message_id),
        body="" if is_event else message.body,
        media=message.media,
        prev=None if message.prev_id is None else ids.server_id(conversation, message.prev_id),
        reply_to=None if message.reply_to is None else ids.server_id(conversation, message.reply_to),
        msg_id=str(UUID(bytes=message.client_msg_id)) if message.sender_id == viewer else None,
        kind="event" if is_event else "text",
        event=_event.decode(message.body) if is_event else None,
    )


def backfill(user_id: UserId, marks: dict[ConversationId, MessageId], *, limits: Limits) -> list[frames.Backfill]:
    """Return what a device with these marks has not got, oldest first in each conversation (design section 6).

    A replay starts a safety margin before the mark; a conversation with nothing newer than the mark
    itself yields nothing. Conversations without a mark count when they are newer than every mark.
    Marks of conversations that the user never was in are passed over.
    """
    store = container.conversation_store()
    newest_mark = max(marks.values(), default=MessageId(0))
    unnamed = [
        conversation
        for conversation in store.active_since(user_id, newest_mark, limit=_UNNAMED_CONVERSATIONS + len(marks))
        if conversation not in marks
    ][:_UNNAMED_CONVERSATIONS]
    standing = store.memberships(user_id, [*marks, *unnamed])
    found: list[frames.Backfill] = []
    for conversation, mark in marks.items():
        place, last = standing.get(conversation, (None, None))
        if place is None or last is None or min(last, _end(place)) <= mark:
            continue
        part = _replay(user_id, place, after=ids.replay_start(mark), limit=limits.max_backfill, limits=limits)
        if any(ids.parse_server_id(message.server_id)[1] > mark for message in part.messages):
            found.append(part)
    budget = _UNNAMED_BUDGET
    for conversation in unnamed:
        place, _ = standing.get(conversation, (None, None))
        if place is None:
            continue
        most = max(1, min(limits.max_backfill, budget))
        part = _replay(user_id, place, after=MessageId(0), limit=most, limits=limits)
        budget -= len(part.messages)
        if part.messages:
            found.append(part)
    return found


def _end(place: Membership) -> MessageId:
    return MessageId(ids.MAX_ID) if place.left_id is None else place.left_id


def _replay(user_id: UserId, place: Membership, *, after: MessageId, limit: int, limits: Limits) -> frames.Backfill:
    newest = container.message_store().newest(
        place.conversation_id, after=MessageId(max(after, place.joined_id)), upto=place.left_id, limit=limit + 1
    )
    kept = newest[: min(limit, _fitting(newest, limits.max_backfill_bytes))]
    return frames.Backfill(
        conv=ids.conversation_ref(place.conversation_id),
        messages=[message_frame(message, viewer=user_id) for message in reversed(kept)],
        more=len(newest) > len(kept),
    )


def _fitting(messages: Sequence[StoredMessage], max_bytes: int) -> int:
    """Return how many of the first messages are within ``max_bytes`` together; one at least."""
    size = 0
    for count, message in enumerate(messages):
        size += len(message.body.encode()) + sum(map(len, message.media))
        if size > max_bytes:
            return max(1, count)
    return len(messages)


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
    place = require_member(user_id, conversation_id).membership
    older_than, newer_than = _position(before, conversation_id), _position(after, conversation_id)
    store = container.message_store()
    start = MessageId(max(newer_than or 0, place.joined_id))
    if newer_than is not None and older_than is None:
        found = store.oldest_after(conversation_id, after=start, limit=limit + 1)
        page = found[:limit][::-1]
        has_newer, has_older = len(found) > limit, start > place.joined_id
    else:
        found = store.newest(conversation_id, after=start, before=older_than, limit=limit + 1)
        page = found[:limit]
        has_newer, has_older = older_than is not None, len(found) > limit
    # At an empty page the cursors go back to where it was asked for.
    newest = page[0].message_id if page else MessageId((older_than or 1) - 1)
    oldest = page[-1].message_id if page else MessageId(start + 1)
    return HistoryPage(
        [message_frame(message, viewer=user_id) for message in page],
        seal(_SCOPE, conversation_id, oldest) if has_older else None,
        seal(_SCOPE, conversation_id, newest) if has_newer else None,
    )
