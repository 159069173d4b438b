"""One conversation as a device holds it: each message once, in the order of ``prev``. Pure: no socket, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """A message as a server shows it, over either door. ``event`` is what a message of kind ``event`` tells."""

    server_id: str
    conv: str
    sender: str
    body: str = ""
    prev: str | None = None
    ts: int = 0
    kind: str = "text"
    event: str = ""
    users: tuple[str, ...] = ()

    @classmethod
    def of(cls, frame: Mapping[str, Any]) -> "Message":
        """Return the message in a ``msg`` frame or in a result of the REST history."""
        event = frame.get("event") or {}
        return cls(
            server_id=frame["server_id"],
            conv=frame["conv"],
            sender=frame["from"],
            body=frame.get("body", ""),
            prev=frame.get("prev"),
            ts=frame["ts"],
            kind=frame.get("kind", "text"),
            event=event.get("type", ""),
            users=tuple(event.get("users", ())),
        )


class Timeline:
    """Deduplication and gaps of one conversation.

    What is taken is shown as soon as the message before it is shown; until then it waits, and
    ``gap`` says where something is missing.
    """

    def __init__(self) -> None:
        #: In order, each once.
        self.shown: list[Message] = []
        #: Ids among ``shown`` before which the chain does not hold: nothing earlier was to be had.
        self.beginnings: list[str] = []
        #: Copies that were dropped.
        self.repeats = 0
        self._held: set[str] = set()
        self._waiting: dict[str, Message] = {}

    @property
    def mark(self) -> str | None:
        """The newest message up to which nothing is missing; None where nothing is shown."""
        return self.shown[-1].server_id if self.shown else None

    @property
    def gap(self) -> str | None:
        """The first message that waits for one before it; None where nothing is missing."""
        heads = [it for it in self._waiting.values() if it.prev not in self._waiting]
        # Of one millisecond, the one that came first.
        return min(heads, key=lambda it: it.ts).server_id if heads else None

    def holds(self, server_id: str) -> bool:
        """Return whether the message came already, shown or not."""
        return server_id in self._held

    def shows(self, server_id: str) -> bool:
        """Return whether the message is shown."""
        return server_id in self._held and server_id not in self._waiting

    def take(self, message: Message) -> list[Message]:
        """Take one copy, and return what is shown thereby: nothing, the message, or also what waited for it."""
        if message.server_id in self._held:
            self.repeats += 1
            return []
        self._held.add(message.server_id)
        self._waiting[message.server_id] = message
        return self._advance()

    def begin_at(self, server_id: str) -> list[Message]:
        """Show a waiting message although the one before it is not to be had; return what is shown thereby."""
        self.beginnings.append(server_id)
        first = self._show(self._waiting[server_id])
        return [first, *self._advance()]

    def _show(self, message: Message) -> Message:
        del self._waiting[message.server_id]
        self.shown.append(message)
        return message

    def _advance(self) -> list[Message]:
        after = {it.prev: it for it in self._waiting.values()}
        fresh: list[Message] = []
        while (following := after.get(self.mark)) is not None:
            fresh.append(self._show(following))
        return fresh
