"""Keeps the index in step with the stores (docs/decisions/0059).

Nobody tells the index what a message says: it is told which messages to look at, and takes what the store has. It then
looks a second time, and begins anew where the store says something else by now. So of two workers that are at one
message, the one that wrote last has looked after it wrote, whatever the order in which they were told.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import Counter

from chatproject import container
from messaging.domain.ids import ConversationId, MessageId
from messaging.domain.messages import Conversation, StoredMessage
from messaging.domain.search import Has, has_link
from messaging.domain.words import words_of
from messaging.media.selectors import pictures
from messaging.ports import Kept, MessageRef, SearchEntry

logger = logging.getLogger(__name__)

INDEXED = Counter("chat_search_indexed_total", "Messages whose entry in the index was written or removed.", ["result"])

#: Messages that are read and written at once.
_PAGE: Final = 200


def index(refs: Sequence[MessageRef]) -> None:
    """Bring the entries of these messages up to date. Idempotent; to be called after what changed is in the store.

    Raises:
        StoreUnavailable, DatabaseError: some may be left as they were; call it again with all.
    """
    distinct = list(dict.fromkeys(refs))
    for start in range(0, len(distinct), _PAGE):
        _index_page(distinct[start : start + _PAGE])


def _index_page(refs: Sequence[MessageRef]) -> None:
    wanted = _wanted(refs)
    while wanted:
        _write(wanted)
        now = _wanted(list(wanted))
        wanted = {ref: entry for ref, entry in now.items() if entry != wanted[ref]}


def _write(wanted: dict[MessageRef, SearchEntry | None]) -> None:
    there = [entry for entry in wanted.values() if entry is not None]
    gone = [ref for ref, entry in wanted.items() if entry is None]
    container.search_index().put(there)
    container.search_index().remove(gone)
    INDEXED.labels("put").inc(len(there))
    INDEXED.labels("removed").inc(len(gone))


def _wanted(refs: Sequence[MessageRef]) -> dict[MessageRef, SearchEntry | None]:
    """Return what the index is to hold of each message; None for nothing."""
    messages = container.message_store().get(refs)
    # Read after the messages: a sweep moves the horizon on before it asks the index to forget what is below it, so that
    # what is put back here a moment too late is found and removed by the second look.
    conversations = container.conversation_store().get({conversation for conversation, _ in refs})
    shown = {
        ref: message
        for ref, message in messages.items()
        if (conversation := conversations.get(ref[0])) is not None and _is_to_be_found(message, conversation)
    }
    images = pictures({ref for message in shown.values() for ref in message.media})
    return {ref: _entry(shown[ref], images) if ref in shown else None for ref in refs}


def _is_to_be_found(message: StoredMessage, conversation: Conversation) -> bool:
    """Return whether any member may find a message. Of encrypted conversations nothing is looked at, ever."""
    expired = message.message_id <= conversation.expired_id
    return message.kind == "text" and message.readable and not expired and not conversation.encrypted


def _entry(message: StoredMessage, images: set[str]) -> SearchEntry:
    text = message.text
    has = {Has.LINK} if has_link(text) else set()
    if message.media:
        has.add(Has.FILE)
    if not images.isdisjoint(message.media):
        has.add(Has.IMAGE)
    words = tuple(word.text for word in words_of(text))
    return SearchEntry(message.conversation_id, message.message_id, message.sender_id, words, frozenset(has))


# --- all over again -------------------------------------------------------------------------------


@dataclass(slots=True)
class Rebuilt:
    """How far a rebuild has come."""

    conversations: int = 0
    messages: int = 0


def rebuild(*, only: ConversationId | None = None, tell: Callable[[Rebuilt], None] = lambda _: None) -> Rebuilt:
    """Make the index anew from the stores, one conversation after the other, while everything runs.

    ``only``: of one conversation. ``tell`` hears of it after each. Whatever is not in the stores is gone from a
    conversation afterwards; what is written meanwhile comes with its own job.

    Raises:
        StoreUnavailable, DatabaseError: call it again.
    """
    done = Rebuilt()
    if only is not None:
        conversation = container.conversation_store().get([only]).get(only)
        if conversation is not None:
            _rebuild_one(conversation, done)
            tell(done)
        return done
    position: int | None = None
    while page := container.conversation_store().scan(after=position, limit=_PAGE):
        for _, conversation in page:
            _rebuild_one(conversation, done)
            tell(done)
        position = page[-1][0]
    return done


def _rebuild_one(conversation: Conversation, done: Rebuilt) -> None:
    container.search_index().forget(conversation.id)
    done.conversations += 1
    if conversation.encrypted:
        return
    store, after = container.message_store(), conversation.expired_id
    while page := store.oldest_after(conversation.id, after=after, limit=_PAGE):
        index([(conversation.id, message.message_id) for message in page])
        done.messages += len(page)
        after = page[-1].message_id


# --- retention ------------------------------------------------------------------------------------


class SearchCopy:
    """``Copy`` of the words of messages. What is held stays in the store; nobody looks for it here."""

    def forget(self, conversation_id: ConversationId, *, before: MessageId, keep: Kept, media: Sequence[str]) -> None:
        """Delete the entries of what goes, and of what is kept though nobody may see it any more."""
        container.search_index().forget(conversation_id, before=before)
