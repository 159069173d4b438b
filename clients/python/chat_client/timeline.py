"""One conversation as a device holds it: each message once, in the order of ``prev``, as changes have left it. Pure.

See *Ids*, *Delivery* and *Changes* in docs/protocol.md. A hot conversation has several chains of ``prev``; what is
shown stands in the order of ids.
"""

from base64 import urlsafe_b64decode
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

#: The ops of frames that are changes.
CHANGES = frozenset({"edit", "delete", "react", "takedown", "restore", "link"})


def order_of(server_id: str | None) -> int:
    """Return what orders the ids of a conversation; before all of them comes none."""
    return 0 if server_id is None else int.from_bytes(urlsafe_b64decode(server_id[2:] + "==")[-8:], "big")


def chain_of(server_id: str) -> int:
    """Return the chain that an id is in; 0 in an ordinary conversation."""
    return order_of(server_id) >> 17 & 31


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
    media: tuple[str, ...] = ()
    reply_to: str | None = None
    forwarded: bool = False
    mentions: tuple[str, ...] = ()
    withheld: bool = False
    #: Of a live message of a large group: over how many ms its devices spread their ``delivered``.
    spread_ms: int = field(default=0, compare=False)

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
            media=tuple(frame.get("media", ())),
            reply_to=frame.get("reply_to"),
            forwarded=frame.get("forwarded", False),
            mentions=tuple(frame.get("mentions", ())),
            withheld=frame.get("withheld", False),
            spread_ms=frame.get("spread_ms") or 0,
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
    edited_at: int | None = None
    media: tuple[str, ...] = ()
    reply_to: str | None = None
    mentions: tuple[str, ...] = ()

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
            edited_at=frame.get("edited_at"),
            media=tuple(frame.get("media", ())),
            reply_to=frame.get("reply_to"),
            mentions=tuple(frame.get("mentions", ())),
        )


def changed(message: Message, change: Change) -> Message:
    """Return the message after a change that is newer than all before."""
    if message.deleted:
        return message
    match change.op:
        case "edit":
            return replace(message, body=change.body, edited_at=change.ts, mentions=change.mentions)
        case "delete":
            emptied = replace(message, body="", media=(), reply_to=None, mentions=(), edited_at=None)
            return replace(emptied, deleted=True, reactions=())
        case "takedown":
            return replace(message, body="", media=(), reply_to=None, mentions=(), withheld=True)
        case "restore":
            back = replace(message, body=change.body, media=change.media, reply_to=change.reply_to, withheld=False)
            return replace(back, mentions=change.mentions, edited_at=change.edited_at)
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

    def __init__(self, mark: str | None = None, *, keep: int | None = None) -> None:
        """``mark``: what was shown in an earlier life and is not shown again. ``keep``: of ``shown``, the newest."""
        #: In order, each once, as changes have left it.
        self.shown: list[Message] = []
        #: Ids among ``shown`` before which the chain does not hold: nothing earlier was to be had.
        self.beginnings: list[str] = []
        #: Copies of messages that were dropped.
        self.repeats = 0
        #: The newest row of each chain up to which nothing is missing.
        self._marks: dict[int, str] = parts_of(mark)
        #: Of each chain, up to where messages are known and not held.
        self._floors = {chain: order_of(part) for chain, part in self._marks.items()}
        self._expired = 0
        self._keep = keep
        self._waiting: dict[str, Row] = {}
        #: The newest change that what is shown of a message can have in it.
        self._as_of: dict[str, int] = {}

    @property
    def mark(self) -> str | None:
        """What is held, as it goes into a ``sync``; None where nothing is."""
        return ",".join(self._marks[chain] for chain in sorted(self._marks)) or None

    def _forgotten(self, server_id: str) -> bool:
        order = order_of(server_id)
        return order < self._expired or order <= self._floors.get(chain_of(server_id), 0)

    def _covers(self, server_id: str) -> bool:
        return order_of(server_id) <= order_of(self._marks.get(chain_of(server_id)))

    @property
    def oldest(self) -> int | None:
        """The order of the oldest message that is known: shown, or of an earlier life; None where nothing is."""
        if self._floors:
            return min(self._floors.values())
        return order_of(self.shown[0].server_id) if self.shown else None

    @property
    def gap(self) -> str | None:
        """The first row that waits for one before it; None where nothing is missing."""
        return min(self._waiting, key=order_of, default=None)

    def holds(self, server_id: str) -> bool:
        """Return whether the message came already, shown or not."""
        return server_id in self._as_of or server_id in self._waiting or self._forgotten(server_id)

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
        if held is None and self._forgotten(message.server_id):
            return []
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
        return bisect_left(self.shown, order_of(server_id), key=lambda it: order_of(it.server_id))

    def trim(self) -> None:
        """Let go of the oldest of what is shown, down to ``keep``."""
        if self._keep is None:
            return
        for message in self.shown[: -self._keep]:
            chain, order = chain_of(message.server_id), order_of(message.server_id)
            self._floors[chain] = max(order, self._floors.get(chain, 0))
        self._drop(max(0, len(self.shown) - self._keep))

    def expire(self, server_id: str) -> None:
        """Drop what is older than ``server_id``: nobody is to have it any more."""
        self._expired = max(self._expired, order_of(server_id))
        self._drop(self._place(server_id))

    def _drop(self, count: int) -> None:
        for message in self.shown[:count]:
            del self._as_of[message.server_id]
        del self.shown[:count]
