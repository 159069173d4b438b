"""What the router remembers of conversations: members and the newest message or change of each chain.

Members are stored when they are added, which may be ahead of the router's place in the log; so it knows of
those who joined since where their membership begins.

Their changes come through the log, in the first chain. Who reads the other chains of hot conversations does not see
them there, and looks at each poll whether the store knows of one.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.messages import Conversation, ConversationType, Membership
from messaging.ports import ConversationStore

#: Changes come through the log and drop the entry; this is only the backstop for a change whose event was lost.
_TTL_S = 60.0
_CAPACITY = 50_000
_MEMBER_PAGE = 1_000


@dataclass(slots=True)
class Known:
    """One conversation: its members, and the id of the newest stored message or change of each of its chains."""

    type: ConversationType
    members: frozenset[UserId]
    #: ``joined_id`` of the members who joined after the place at which this was read, and the newest of these.
    joined: Mapping[UserId, MessageId]
    newest_joined: MessageId
    #: ``joined_id`` of all who were not there from the beginning.
    since: Mapping[UserId, MessageId]
    last_ids: dict[int, MessageId]
    version: int
    until: float

    def readers(self, message_id: MessageId) -> frozenset[UserId]:
        """Return the members who may see a message: those who had joined at its place in the log."""
        if message_id > self.newest_joined:
            return self.members
        return self.members - {user for user, joined_id in self.joined.items() if joined_id >= message_id}

    def blind(self, readers: frozenset[UserId], message_id: MessageId) -> frozenset[UserId]:
        """Return who of the readers cannot see an earlier message: those who joined after it."""
        late = (user for user, joined_id in self.since.items() if joined_id >= message_id)
        return readers.intersection(late)


class ConversationCache:
    """A bounded cache of conversations; used by one thread at a time."""

    def __init__(self, store: ConversationStore, *, sees_changes: bool) -> None:
        """``sees_changes``: whether who uses it reads of every change of members in the log."""
        self._store = store
        self._sees_changes = sees_changes
        self._known: OrderedDict[ConversationId, Known] = OrderedDict()

    def load(self, places: Mapping[ConversationId, MessageId]) -> None:
        """Read the missing ones, each at a place in the log from which on it is used.

        Three queries for all, and one more per page of members of a large group.
        """
        now = time.monotonic()
        missing = [
            id_
            for id_ in places
            if not self._sees_changes or (known := self._known.get(id_)) is None or known.until <= now
        ]
        if not missing:
            return
        found = self._store.get(missing)
        if not self._sees_changes:
            found = {id_: it for id_, it in found.items() if not self._is_current(it, now)}
            # Each chain is at another place: it may be at one from before anybody who was not there from the beginning.
            places = dict.fromkeys(found, MessageId(1))
        rosters = self._store.rosters([id_ for id_, conversation in found.items() if conversation.members is not None])
        for id_, conversation in found.items():
            before = self._known.get(id_)
            # Not in the rosters either where it grew large in between.
            members = rosters[id_] if id_ in rosters else self._pages(id_)
            joined = {member.user_id: member.joined_id for member in members if member.joined_id >= places[id_]}
            self._known[id_] = Known(
                conversation.type,
                frozenset(member.user_id for member in members),
                joined,
                max(joined.values(), default=MessageId(0)),
                {member.user_id: member.joined_id for member in members if member.joined_id},
                before.last_ids if before is not None else dict(conversation.mark),
                conversation.version,
                now + _TTL_S,
            )
            self._known.move_to_end(id_)
        while len(self._known) > max(_CAPACITY, len(missing)):
            self._known.popitem(last=False)

    def _is_current(self, conversation: Conversation, now: float) -> bool:
        known = self._known.get(conversation.id)
        return known is not None and known.until > now and known.version == conversation.version

    def _pages(self, id_: ConversationId) -> list[Membership]:
        members: list[Membership] = []
        while True:
            after = members[-1].user_id if members else UserId(0)
            page = self._store.members(id_, after=after, limit=_MEMBER_PAGE)
            members += page
            if len(page) < _MEMBER_PAGE:
                return members

    def get(self, id_: ConversationId) -> Known | None:
        """Return a conversation that was loaded; None where there is no such."""
        return self._known.get(id_)

    def refresh(self, id_: ConversationId, *, at: MessageId) -> Known | None:
        """Read the members again: they changed at this place of the log."""
        known = self._known.get(id_)
        if known is not None:
            known.until = 0.0
        self.load({id_: at})
        return self._known.get(id_)

    def clear(self) -> None:
        """Forget everything: what was remembered may be ahead of the store."""
        self._known.clear()
