"""One conversation as a device holds it: each message once, in the order of ``prev``, as changes have left it. Pure.

A hot conversation has several chains of ``prev``; what is shown stands in the order of ids.
"""

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from messaging.domain import ids

#: The ops of frames that are changes.
CHANGES = frozenset({"edit", "delete", "react", "link"})


def order_of(server_id: str | None) -> int:
    """Return what orders the ids of a conversation; before all of them comes none."""
    return 0 if server_id is None else ids.parse_server_id(server_id)[1]


def chain_of(server_id: str) -> int:
    """Return the chain that an id is in; 0 in an ordinary conversation."""
    return ids.sub_of(order_of(server_id))


def parts_of(mark: str | None) -> dict[int, str]:
    """Return the newest id of each chain that a mark names."""
    return {chain_of(part): part for part in mark.split(",")} if mark else {}


@dataclass(frozen=True, slots=True)
class Message:
    """A message as a server shows it, over either door. ``event`` is what a message of kind ``event`` tells.

    ``reactions``: each emoji with its count, in the order of the emoji.
    """

    server_id: str
    conv: str
    sender: str
    body: str = ""
    prev: str | None = None
    ts: int = 0
    kind: str = "text"
    event: str = ""
    users: tuple[str, ...] = ()
    edited_at: int | None = None
    deleted: bool = False
    reactions: tuple[tuple[str, int], ...] = ()

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
            edited_at=frame.get("edited_at"),
            deleted=frame.get("deleted", False),
            reactions=tuple(sorted((it["emoji"], it["count"]) for it in frame.get("reactions", ()))),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a message, or, without a target, a mere link of the chain."""

    server_id: str
    conv: str
    op: str
    prev: str | None = None
    target: str = ""
    sender: str = ""
    body: str = ""
    emoji: str = ""
    on: bool = False
    count: int = 0
    ts: int = 0

    @classmethod
    def of(cls, frame: Mapping[str, Any]) -> "Change":
        """Return the change in a frame."""
        return cls(
            server_id=frame["server_id"],
            conv=frame["conv"],
            op=frame["op"],
            prev=frame.get("prev"),
            target=frame.get("target", ""),
            sender=frame.get("from", ""),
            body=frame.get("body", ""),
            emoji=frame.get("emoji", ""),
            on=frame.get("on", False),
            count=frame.get("count", 0),
            ts=frame.get("ts", 0),
        )


def changed(message: Message, change: Change) -> Message:
    """Return the message after a change that is newer than all before."""
    if message.deleted:
        return message
    match change.op:
        case "edit":
            return replace(message, body=change.body, edited_at=change.ts)
        case "delete":
            return replace(message, body="", edited_at=None, deleted=True, reactions=())
        case "react":
            counts = dict(message.reactions) | {change.emoji: change.count}
            return replace(message, reactions=tuple(sorted((it, count) for it, count in counts.items() if count)))
    return message


Row = Message | Change


class Timeline:
    """Deduplication, gaps and changes of one conversation.

    What is taken counts as soon as the row before it does; until then it waits, and ``gap`` says where something is
    missing. What is read with a mark counts at once.
    """

    def __init__(self) -> None:
        #: In order, each once, as changes have left it.
        self.shown: list[Message] = []
        #: Ids among ``shown`` before which the chain does not hold: nothing earlier was to be had.
        self.beginnings: list[str] = []
        #: Copies of messages that were dropped.
        self.repeats = 0
        #: The newest row of each chain up to which nothing is missing.
        self._marks: dict[int, str] = {}
        self._waiting: dict[str, Row] = {}
        #: The newest change that what is shown of a message can have in it.
        self._as_of: dict[str, int] = {}

    @property
    def mark(self) -> str | None:
        """What is held, as it goes into a ``sync``; None where nothing is."""
        return ",".join(self._marks[chain] for chain in sorted(self._marks)) or None

    def _covers(self, server_id: str) -> bool:
        return order_of(server_id) <= order_of(self._marks.get(chain_of(server_id)))

    @property
    def gap(self) -> str | None:
        """The first row that waits for one before it; None where nothing is missing."""
        return min(self._waiting, key=order_of, default=None)

    def holds(self, server_id: str) -> bool:
        """Return whether the message came already, shown or not."""
        return server_id in self._as_of or server_id in self._waiting

    def shows(self, server_id: str) -> bool:
        """Return whether the message is shown."""
        return server_id in self._as_of

    def take(self, row: Row) -> list[Message]:
        """Take one copy, and return what is shown thereby: nothing, the message, or also what waited for it."""
        if isinstance(row, Message) and self.holds(row.server_id):
            self.repeats += 1
        elif self._covers(row.server_id):
            return self._apply(row)
        else:
            self._waiting[row.server_id] = row
        return self._advance()

    def cover(self, messages: Iterable[Message], changes: Sequence[Change], mark: str | None) -> list[Message]:
        """Take what was read: messages as they were at ``mark``, up to which nothing is missing from here on."""
        fresh = []
        parts = parts_of(mark)
        for message in messages:
            as_of = order_of(parts.get(chain_of(message.server_id)))
            fresh += self._put(message, max(as_of, order_of(message.server_id)))
        for change in changes:
            self._apply(change)
        self._marks |= {chain: part for chain, part in parts.items() if not self._covers(part)}
        for row in sorted(self._waiting.values(), key=lambda it: order_of(it.server_id)):
            if self._covers(row.server_id):
                del self._waiting[row.server_id]
                fresh += self._apply(row)
        return [*fresh, *self._advance()]

    def begin_at(self, server_id: str) -> list[Message]:
        """Let a waiting row count although the one before it is not to be had; return what is shown thereby."""
        self.beginnings.append(server_id)
        row = self._waiting.pop(server_id)
        self._marks[chain_of(server_id)] = server_id
        return [*self._apply(row), *self._advance()]

    def _advance(self) -> list[Message]:
        after = {(chain_of(it.server_id), it.prev): it for it in self._waiting.values()}
        fresh: list[Message] = []
        for chain in {chain for chain, _ in after}:
            while (following := after.get((chain, self._marks.get(chain)))) is not None:
                del self._waiting[following.server_id]
                self._marks[chain] = following.server_id
                fresh += self._apply(following)
        return fresh

    def _apply(self, row: Row) -> list[Message]:
        if isinstance(row, Message):
            return self._put(row, order_of(row.server_id))
        number = order_of(row.server_id)
        if number > self._as_of.get(row.target, number):
            self._as_of[row.target] = number
            at = self._place(row.target)
            self.shown[at] = changed(self.shown[at], row)
        return []

    def _put(self, message: Message, as_of: int) -> list[Message]:
        """Show a message as it was at a place in the order, unless what is shown of it is newer."""
        held = self._as_of.get(message.server_id)
        if held is None:
            # In the order in which they come, which has to be that of the ids as well: the judge looks.
            if not self.shown or order_of(message.server_id) > order_of(self.shown[-1].server_id):
                self.shown.append(message)
            else:
                insort(self.shown, message, key=lambda it: order_of(it.server_id))
        elif as_of > held:
            self.shown[self._place(message.server_id)] = message
        if held is None or as_of > held:
            self._as_of[message.server_id] = as_of
        return [message] if held is None else []

    def _place(self, server_id: str) -> int:
        return next(at for at, it in enumerate(self.shown) if it.server_id == server_id)
