"""Who wrote the recent messages: what a pod delivered, and what a router stored."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from messaging.domain.ids import ConversationId, MessageId, UserId

_CAPACITY: Final = 100_000


class Authors:
    """Remembers authors, so that most receipts need no query. Bounded: the oldest are forgotten first."""

    def __init__(self) -> None:
        self._authors: OrderedDict[tuple[ConversationId, MessageId], UserId] = OrderedDict()

    def remember(self, authors: Iterable[tuple[ConversationId, MessageId, UserId]]) -> None:
        """Note who wrote what."""
        for conversation, message, author in authors:
            self._authors[conversation, message] = author
        while len(self._authors) > _CAPACITY:
            self._authors.popitem(last=False)

    def get(self, conversation: ConversationId, message: MessageId) -> UserId | None:
        """Return the author, where it is remembered."""
        return self._authors.get((conversation, message))
