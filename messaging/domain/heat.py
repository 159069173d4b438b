"""Which conversations are written to so fast that they should be spread further (docs/decisions/0036). Pure."""

from dataclasses import dataclass
from typing import Final

from messaging.domain.ids import MAX_HOT_K, ConversationId, MessageId, sub_of, timestamp_ms

#: Messages are counted in windows of the log's time, so that catching up with a backlog is no heat.
WINDOW_S: Final = 10
#: After a conversation was spread its gateways need a while to follow; and the next rate has to be a new one.
PAUSE_S: Final = 60
#: Chains that are remembered; those of past windows go first.
_CAPACITY: Final = 10_000


@dataclass(slots=True)
class _Count:
    window: int
    messages: int


class Heat:
    """Counts the messages of each chain, and says when one has had too many in a window. Bounded."""

    def __init__(self, *, per_s: float) -> None:
        """``per_s``: messages a second in one chain, over a window, that are too many; 0: never."""
        self._most = per_s * WINDOW_S
        self._counts: dict[tuple[ConversationId, int], _Count] = {}
        #: Until when (log's time, s) a conversation that was reported is left alone.
        self._pauses: dict[ConversationId, float] = {}

    def note(self, conversation: ConversationId, message: MessageId) -> bool:
        """Count a message; return whether its conversation should be spread further: once, then not for a minute."""
        if not self._most:
            return False
        at_s = timestamp_ms(message) / 1000
        window = int(at_s // WINDOW_S)
        chain = (conversation, sub_of(message))
        count = self._counts.get(chain)
        if count is None or count.window < window:
            if len(self._counts) >= _CAPACITY:
                self._forget(window, at_s)
            self._counts[chain] = count = _Count(window, 0)
        count.messages += 1
        if count.messages <= self._most or self._pauses.get(conversation, 0.0) > at_s:
            return False
        self._pauses[conversation] = at_s + PAUSE_S
        return True

    def _forget(self, window: int, at_s: float) -> None:
        self._counts = {chain: count for chain, count in self._counts.items() if count.window >= window}
        self._pauses = {conversation: until for conversation, until in self._pauses.items() if until > at_s}
        if len(self._counts) >= _CAPACITY:
            # All in one window: what is hot among them is soon counted again.
            self._counts.clear()


def hotter(hot_k: int, *, sub: int, first_k: int) -> int:
    """Return the ``hot_k`` for a conversation whose chain ``sub`` has too many messages.

    What is in the first chain of one that is spread comes from gateways that do not know of it yet.
    """
    if hot_k <= 1:
        return first_k
    return min(MAX_HOT_K, 2 * hot_k) if sub else hot_k
