"""Most heartbeats ask whether something is missing where nothing is: one question for all of them (design section 6).

The whole answer to a ``sync`` costs three queries of its own. Fifty thousand sockets would have a pod ask five thousand
a second, for nothing. Here the conversations that were named are asked for where they end, together with those of the
other sockets that ask at that moment; who has all of it needs no more. Nor does who lacks what this pod has just
written, and what is on its way: see ``Trail``.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from chatproject import container
from messaging.batching import Batcher
from messaging.domain import frames, ids
from messaging.domain.errors import ChatError
from messaging.domain.ids import ConversationId, Mark, MessageId, UserId
from messaging.threads import DatabaseThreads

#: How old the end of a conversation may be for it to be on its way still: twice what the slowest delivery should take.
ON_ITS_WAY_S: Final = 1.0
#: Writing to fewer takes no time in which a heartbeat could come.
_MANY: Final = 100
#: Of what is remembered: how long, to how many people in all, and of how many conversations that they are large.
_KEPT_S: Final = 10.0
_MAX_USERS: Final = 200_000
_MAX_LARGE: Final = 10_000

_NOWHERE: Mark = {}
_NOTHING: Final = MessageId(0)


def _load(conversations: Sequence[ConversationId]) -> dict[ConversationId, Mark | ChatError]:
    found = container.conversation_store().ends(conversations)
    return {id_: found.get(id_, _NOWHERE) for id_ in conversations}


class Tails:
    """Where conversations end."""

    def __init__(self, database: DatabaseThreads) -> None:
        self._ends: Batcher[ConversationId, Mark] = Batcher(database, _load)

    async def beyond(self, marks: Mapping[ConversationId, Mark]) -> dict[ConversationId, Mark]:
        """Return of the conversations with something after its mark, at a moment after the call, those chains' ends.

        Raises:
            Unavailable: the store is away, or too many ask.
        """
        asked = {id_: self._ends.ask(id_) for id_ in marks}
        found: dict[ConversationId, Mark] = {}
        for id_, mark in marks.items():
            ends = await self._ends.wait(asked[id_])
            if newer := {sub: end for sub, end in ends.items() if end > mark.get(sub, _NOTHING)}:
                found[id_] = newer
        return found


class _Written(NamedTuple):
    users: AbstractSet[UserId]
    prev: MessageId | None
    at: float


class Trail:
    """What this pod has written to many in the last seconds: to whom, and after what.

    A message to a group of 5,000 is in the store for some tenths of a second before the last of them has it. The
    heartbeats of that time lack it, and would have it read for each of them, out of the way of the writing.

    Used on the event loop only. Overflow rule: past 200,000 people the oldest is forgotten, and a heartbeat that would
    have needed it asks for everything, as ever.
    """

    def __init__(self) -> None:
        self._written: OrderedDict[tuple[ConversationId, MessageId], _Written] = OrderedDict()
        self._users = 0
        self._large: OrderedDict[ConversationId, None] = OrderedDict()

    def writes(self, frame: frames.Msg | frames.Change, users: Sequence[UserId], *, now: float) -> None:
        """Note that a message or change is about to be written to these; few of them are passed over.

        ``now``: monotonic seconds.
        """
        self._forget(now)
        if len(users) < _MANY:
            return
        key = conversation, _ = ids.parse_server_id(frame.server_id)
        prev = None if frame.prev is None else ids.parse_server_id(frame.prev)[1]
        self._large[conversation] = None
        self._large.move_to_end(conversation)
        if len(self._large) > _MAX_LARGE:
            self._large.popitem(last=False)
        # Written a second time, after a crash of the router: perhaps not to the same people.
        self._drop(key)
        self._written[key] = _Written(frozenset(users), prev, now)
        self._users += len(users)

    def _forget(self, now: float) -> None:
        while self._written:
            key, oldest = next(iter(self._written.items()))
            if oldest.at > now - _KEPT_S and self._users <= _MAX_USERS:
                return
            self._drop(key)

    def _drop(self, key: tuple[ConversationId, MessageId]) -> None:
        if (written := self._written.pop(key, None)) is not None:
            self._users -= len(written.users)

    def leads(self, user: UserId, marks: Mapping[ConversationId, Mark], ends: Mapping[ConversationId, Mark]) -> bool:
        """Return whether all that lies between a user's marks and these ends was written to the user here.

        What was written to an open socket is read from it, or the socket ends and the next one asks for everything.
        """
        return all(
            self._leads(user, conversation, marks[conversation].get(sub), end)
            for conversation, chains in ends.items()
            for sub, end in chains.items()
        )

    def _leads(self, user: UserId, conversation: ConversationId, mark: MessageId | None, end: MessageId) -> bool:
        step: MessageId | None = end
        while step is not None and step != mark:
            written = self._written.get((conversation, step))
            if written is None or user not in written.users:
                return False
            step = written.prev
        return step is not None

    def may_come(self, ends: Mapping[ConversationId, Mark]) -> bool:
        """Return whether these ends are so new, and in groups so large, that they may be on their way to this pod."""
        fresh = ids.first_id_at(int((time.time() - ON_ITS_WAY_S) * 1000))
        return all(
            conversation in self._large and min(chains.values()) >= fresh for conversation, chains in ends.items()
        )

    def clear(self) -> None:
        """Forget what was written: some of it may not have been."""
        self._written.clear()
        self._users = 0
