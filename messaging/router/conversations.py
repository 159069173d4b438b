"""What the router remembers of conversations: members and the newest message, exact at its place in the log."""

import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.messages import Conversation, ConversationType
from messaging.ports import ConversationStore

#: Changes come through the log and drop the entry; this is only the backstop for a change whose event was lost.
_TTL_S = 60.0
_CAPACITY = 50_000
_MEMBER_PAGE = 1_000


@dataclass(slots=True)
class Known:
    """One conversation: its members, and the id of its newest stored message."""

    type: ConversationType
    members: frozenset[UserId]
    last_id: MessageId | None
    until: float

    @property
    def indexed_by_user(self) -> bool:
        """Whether its messages are also indexed per member (messages_by_user): not in large groups."""
        return self.type is not ConversationType.GROUP_LARGE


class ConversationCache:
    """A bounded cache of conversations; used by one thread at a time."""

    def __init__(self, store: ConversationStore) -> None:
        self._store = store
        self._known: OrderedDict[ConversationId, Known] = OrderedDict()

    def load(self, ids: Iterable[ConversationId]) -> None:
        """Read the missing ones, with one query for all (large groups: one more per page of members)."""
        now = time.monotonic()
        missing = [id_ for id_ in set(ids) if (known := self._known.get(id_)) is None or known.until <= now]
        if not missing:
            return
        for id_, conversation in self._store.get(missing).items():
            before = self._known.get(id_)
            last_id = before.last_id if before is not None else conversation.last_message_id
            self._known[id_] = Known(conversation.type, self._members(conversation), last_id, now + _TTL_S)
            self._known.move_to_end(id_)
        while len(self._known) > max(_CAPACITY, len(missing)):
            self._known.popitem(last=False)

    def _members(self, conversation: Conversation) -> frozenset[UserId]:
        if conversation.members is not None:
            return conversation.members
        members: list[UserId] = []
        while True:
            after = members[-1] if members else UserId(0)
            page = self._store.members(conversation.id, after=after, limit=_MEMBER_PAGE)
            members += [membership.user_id for membership in page]
            if len(page) < _MEMBER_PAGE:
                return frozenset(members)

    def get(self, id_: ConversationId) -> Known | None:
        """Return a conversation that was loaded; None where there is no such."""
        return self._known.get(id_)

    def refresh(self, id_: ConversationId) -> Known | None:
        """Read the members again: they changed at this place of the log."""
        known = self._known.get(id_)
        if known is not None:
            known.until = 0.0
        self.load([id_])
        return self._known.get(id_)

    def clear(self) -> None:
        """Forget everything: what was remembered may be ahead of the store."""
        self._known.clear()
