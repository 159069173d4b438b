"""Spread a conversation over sub-partitions, or gather it again: while it is in use (docs/decisions/0036)."""

from collections.abc import Iterator

from asgiref.sync import async_to_sync

from chatproject import container
from messaging.domain.errors import InvalidInput, NotFound
from messaging.domain.events import InvalidateConversation
from messaging.domain.ids import MAX_HOT_K, ConversationId, UserId
from messaging.ports import ConversationStore
from messaging.services.fanout import tell_pods_of

_PAGE = 1_000


def set_hot(*, conversation_id: ConversationId, k: int) -> None:
    """Spread a conversation's messages over ``k`` sub-partitions; 1: over none.

    Gateways follow at once where they hear of it, within half a minute in any case.

    Raises:
        InvalidInput: ``k`` is out of range. NotFound: there is no such conversation.
    """
    check_k(k)
    store = container.conversation_store()
    if not store.set_hot(conversation_id, k):
        raise NotFound("no such conversation")
    async_to_sync(tell_pods_of)(
        members_of(store, conversation_id),
        InvalidateConversation(conversation_id),
        registry=container.registry(),
        bus=container.pod_bus(),
    )


def check_k(k: int) -> None:
    """Raise InvalidInput where a conversation cannot be spread over ``k`` sub-partitions."""
    if not 1 <= k <= MAX_HOT_K:
        raise InvalidInput(f"a conversation is spread over 1 to {MAX_HOT_K} sub-partitions")


def members_of(store: ConversationStore, conversation_id: ConversationId) -> list[UserId]:
    """Return the active members."""
    return list(_members(store, conversation_id))


def _members(store: ConversationStore, conversation_id: ConversationId) -> Iterator[UserId]:
    after = UserId(0)
    while page := store.members(conversation_id, after=after, limit=_PAGE):
        yield from (place.user_id for place in page)
        after = page[-1].user_id
