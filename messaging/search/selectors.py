"""What a user finds: only what the user may read, as the store has it at this moment (docs/decisions/0059).

The index says where to look, among the user's own conversations. Each message that it names is read from the store and
held against all that was asked: one that was edited, deleted or withheld a second ago is not shown for what it was.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import Final

from prometheus_client import Counter, Histogram

from accounts.selectors import people
from chatproject import container
from messaging.domain import ids
from messaging.domain.errors import InvalidInput
from messaging.domain.ids import ConversationId, MessageId, UserId, first_id_at
from messaging.domain.messages import Conversation, ConversationType, StoredMessage
from messaging.domain.search import (
    Asked,
    Has,
    Query,
    Scope,
    Segment,
    has_link,
    matches,
    read_query,
    snippet,
)
from messaging.ports import InboxRow, MessageRef
from messaging.selectors.access import require_member
from messaging.selectors.cursors import seal, unseal

SEARCHES = Counter("chat_search_queries_total", "Searches, by whether they found anything.", ["result"])
SECONDS = Histogram(
    "chat_search_seconds",
    "From a search to its page of results.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)

_SCOPE: Final = "search"
#: Conversations that are searched at once: those with the newest activity.
MAX_CONVERSATIONS: Final = 1_000
_INBOX_PAGE: Final = 200
#: How often the index is asked for one page, where much of what it names is not to be shown.
_ROUNDS: Final = 5
#: Furthest from UTC that a clock on Earth is, in minutes.
_MAX_OFFSET_MIN: Final = 14 * 60


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request asks for: the text of the box, and what stands beside it. All of it has to hold.

    ``sender`` and ``place`` are written as after ``from:`` and ``in:``. ``utc_offset_min``: where days begin.
    """

    text: str = ""
    sender: str = ""
    place: str = ""
    before: datetime | date | None = None
    after: datetime | date | None = None
    has: frozenset[Has] = frozenset()
    utc_offset_min: int = 0


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that was found, and the piece of it to show."""

    message: StoredMessage
    snippet: list[Segment]


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Messages, newest first; ``next`` is the cursor of the page after, or None."""

    results: list[Hit]
    next: str | None


def search_page(*, user_id: UserId, wish: Wish, cursor: str | None, limit: int) -> SearchPage:
    """Return a page of the messages that the user may read and that meet the wish.

    A former member of a conversation finds in it, with ``in:``, what there was up to the leaving. A page may be short
    where much was deleted that the index still knew; ``next`` says whether there is more.

    Raises:
        NotFound: ``in:`` has the id of a conversation that the user never was in.
        InvalidInput: nothing to search for, or a value that cannot be one; a cursor that is forged or another's.
    """
    began = time.monotonic()
    asked = read_query(wish.text)
    position = _position(cursor, user_id)
    if not (asked.terms or asked.has or wish.has or asked.senders or wish.sender):
        raise InvalidInput("nothing to search for: type a word, or say from whom, or has:link, has:file, has:image")
    query = _query(user_id, asked, wish)
    scopes = _scopes(user_id, [*asked.places, *([wish.place] if wish.place else [])])
    page = SearchPage([], None)
    if query is not None and scopes:
        page = _found(user_id, scopes, query, position, limit)
    SECONDS.observe(time.monotonic() - began)
    SEARCHES.labels("some" if page.results else "none").inc()
    return page


def _position(cursor: str | None, user_id: UserId) -> MessageRef | None:
    if cursor is None:
        return None
    conversation, message = unseal(cursor, _SCOPE, user_id, size=2)
    return ConversationId(conversation), MessageId(message)


# --- what is asked for ----------------------------------------------------------------------------


def _query(user_id: UserId, asked: Asked, wish: Wish) -> Query | None:
    """Return what the index is asked; None where nothing can meet it."""
    names = [*asked.senders, *([wish.sender] if wish.sender else [])]
    senders = {_sender(user_id, name) for name in names}
    without = frozenset(card.id for card in people.blocked_by(user_id))
    sender = next(iter(senders), None)
    if len(senders) > 1 or (names and (sender is None or sender in without)):
        return None
    befores: list[datetime | date] = [*asked.before, *([wish.before] if wish.before else [])]
    afters: list[datetime | date] = [*asked.after, *([wish.after] if wish.after else [])]
    offset = _offset(wish.utc_offset_min)
    ends = [_first_id(it, offset) for it in befores]
    return Query(
        terms=asked.terms,
        sender=sender,
        without=without,
        has=asked.has | wish.has,
        after=MessageId(max((_first_id(it, offset) for it in afters), default=1) - 1),
        before=min(ends) if ends else None,
    )


def _sender(user_id: UserId, name: str) -> UserId | None:
    if name.lower() == "me":
        return user_id
    try:
        return ids.parse_user(name)
    except ids.InvalidId:
        return people.user_named(name.lstrip("@"))


def _offset(minutes: int) -> timedelta:
    if abs(minutes) > _MAX_OFFSET_MIN:
        raise InvalidInput(f"utc_offset is a number of minutes from -{_MAX_OFFSET_MIN} to {_MAX_OFFSET_MIN}")
    return timedelta(minutes=minutes)


def _first_id(moment: datetime | date, offset: timedelta) -> MessageId:
    """Return the first id of a moment, or of a day that begins at midnight ``offset`` ahead of UTC."""
    try:
        if not isinstance(moment, datetime):
            moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC) - offset
        return min(first_id_at(int(moment.timestamp() * 1000)), MessageId(ids.MAX_ID))
    except OverflowError:
        raise InvalidInput("there is no such day") from None


def _scopes(user_id: UserId, places: Sequence[str]) -> list[Scope]:
    """Return what of which conversations may be looked at: all of the user's, or those that every place names."""
    if not places:
        return [Scope(it.conversation.id, it.floor) for it in _inbox(user_id) if not it.conversation.encrypted]
    found = [{scope.conversation_id: scope for scope in _at(user_id, place)} for place in places]
    common = reduce(set.intersection, (set(it) for it in found))
    return [scope for conversation, scope in found[0].items() if conversation in common]


def _at(user_id: UserId, place: str) -> list[Scope]:
    """Return what ``in:`` means: one conversation by its id, the DM with ``@name``, or all with that in their names."""
    if place.startswith("c_"):
        try:
            conversation_id = ids.parse_conversation(place)
        except ids.InvalidId:
            pass
        else:
            access = require_member(user_id, conversation_id, also_former=True)
            if access.conversation.encrypted:
                return []
            return [Scope(conversation_id, access.floor, access.membership.left_id)]
    peer = people.user_named(place.lstrip("@"))
    return [
        Scope(row.conversation.id, row.floor)
        for row in _inbox(user_id)
        if not row.conversation.encrypted and _is_called(row.conversation, place, user_id, peer)
    ]


def _is_called(conversation: Conversation, name: str, user_id: UserId, peer: UserId | None) -> bool:
    if conversation.type is ConversationType.DM:
        others = (conversation.members or frozenset()) - {user_id}
        return peer is not None and peer in others
    return not name.startswith("@") and name.casefold() in conversation.name.casefold()


def _inbox(user_id: UserId) -> list[InboxRow]:
    rows: list[InboxRow] = []
    before: tuple[int, int] | None = None
    while len(rows) < MAX_CONVERSATIONS:
        page = container.conversation_store().inbox(user_id, before=before, limit=_INBOX_PAGE)
        rows += page
        if len(page) < _INBOX_PAGE:
            break
        last = page[-1].conversation
        before = (last.activity_id, last.id)
    return rows[:MAX_CONVERSATIONS]


# --- what is found --------------------------------------------------------------------------------


def _found(
    user_id: UserId, scopes: Sequence[Scope], query: Query, position: MessageRef | None, limit: int
) -> SearchPage:
    shown = {scope.conversation_id: scope for scope in scopes}
    results: list[Hit] = []
    for _ in range(_ROUNDS):
        refs = container.search_index().find(scopes, query, before=position, limit=limit + 1)
        stored = container.message_store().get(refs) if refs else {}
        for place, ref in enumerate(refs):
            position = ref
            message = stored.get(ref)
            hit = None if message is None else _hit(message, shown[ref[0]], query)
            if hit is not None:
                results.append(hit)
            if len(results) == limit:
                more = place + 1 < len(refs)
                return SearchPage(results, _seal(user_id, ref) if more else None)
        if len(refs) <= limit:
            return SearchPage(results, None)
    return SearchPage(results, None if position is None else _seal(user_id, position))


def _seal(user_id: UserId, ref: MessageRef) -> str:
    return seal(_SCOPE, user_id, ref[0], ref[1])


def _hit(message: StoredMessage, scope: Scope, query: Query) -> Hit | None:
    """Return what to show of a message; None where it does not meet the query, or is not to be read, by now."""
    if message.kind != "text" or not message.readable or not scope.covers(message.message_id):
        return None
    if message.sender_id in query.without or query.sender not in (None, message.sender_id):
        return None
    if Has.LINK in query.has and not has_link(message.text):
        return None
    spans = matches(message.text, query.terms)
    return None if spans is None else Hit(message, snippet(message.text, spans))
