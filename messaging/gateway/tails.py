"""Most heartbeats ask whether something is missing where nothing is: one question for all of them (design section 6).

The whole answer to a ``sync`` costs three queries of its own. Fifty thousand sockets would have a pod ask five thousand
a second, for nothing. Here the conversations that were named are asked for where they end, together with those of the
other sockets that ask at that moment; who has all of it needs no more.
"""

from collections.abc import Mapping, Sequence

from chatproject import container
from messaging.batching import Batcher
from messaging.domain.errors import ChatError
from messaging.domain.ids import ConversationId, Mark, MessageId
from messaging.threads import DatabaseThreads

_NOWHERE: Mark = {}


def _load(conversations: Sequence[ConversationId]) -> dict[ConversationId, Mark | ChatError]:
    found = container.conversation_store().ends(conversations)
    return {id_: found.get(id_, _NOWHERE) for id_ in conversations}


class Tails:
    """Where conversations end."""

    def __init__(self, database: DatabaseThreads) -> None:
        self._ends: Batcher[ConversationId, Mark] = Batcher(database, _load)

    async def passed_by(self, marks: Mapping[ConversationId, Mark]) -> bool:
        """Return whether in none of these conversations there is anything after its mark, at a moment after the call.

        Raises:
            Unavailable: the store is away, or too many ask.
        """
        asked = {id_: self._ends.ask(id_) for id_ in marks}
        for id_, mark in marks.items():
            ends = await self._ends.wait(asked[id_])
            if any(end > mark.get(sub, MessageId(0)) for sub, end in ends.items()):
                return False
        return True
