"""Judges what clients wrote down against the server's history: every broken promise, by name. Pure.

The promises are those of docs/protocol.md: an acked message is not lost; it is there once; a conversation has one
order, the same on every device, or, if it is hot, one in each of its chains, merged by id; nobody gets what is not
theirs. Each body is to be unique in its conversation and
sender, so that a message is recognised whoever shows it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise

from clients.python.chat_client.timeline import Change, Message, chain_of, order_of
from tests.client import Device, Outgoing


class Kind(StrEnum):
    """The ways to break a promise."""

    LOST = "lost"
    DUPLICATED = "duplicated"
    OUT_OF_ORDER = "out of order"
    INVENTED = "invented"
    NOT_FOR_THIS_USER = "not for this user"
    NOT_A_MEMBER = "written by no member"
    BROKEN_CHAIN = "prev is not the row before"
    NOT_AS_CHANGED = "not as its changes have left it"
    NO_RIGHT = "changed by somebody who may not"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise. ``where``: the history of a conversation, or a device's view of it."""

    kind: Kind
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class View:
    """What a device shows of a conversation, in the order in which it shows it.

    ``whole``: whether all of the user's last stay is to be there.
    """

    device: str
    user: str
    conv: str
    shown: Sequence[Message]
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is judged."""

    #: By all devices; a message that two devices of a user sent is there twice.
    sent: Sequence[Outgoing]
    #: The server's, oldest first, by conversation.
    history: Mapping[str, Sequence[Message]]
    views: Sequence[View] = ()
    #: Acked messages that may be missing: their author was no member any more at their place in the log.
    excused: frozenset[str] = frozenset()
    #: Changes, by all devices, and what was told of them by anybody.
    changed: Sequence[Outgoing] = ()
    told: Mapping[str, Change] = field(default_factory=dict)
    #: Who may delete what others wrote, by conversation.
    moderators: Mapping[str, Collection[str]] = field(default_factory=dict)
    #: Whether what one connection wrote once is to stand as it was written: not where the log itself failed meanwhile.
    pipelined: bool = True


def views_of(devices: Iterable[Device], conversations: Iterable[str]) -> list[View]:
    """Return what the devices show of these conversations, of which each is to have all."""
    return [
        View(device.name, device.user, conv, device.timeline(conv).shown)
        for conv in conversations
        for device in devices
    ]


def stays(history: Sequence[Message]) -> dict[str, list[list[Message]]]:
    """Return what each user may see by the membership events: one list of messages for each stay, oldest first.

    A stay begins with the event that tells of it and ends with the one that tells of its end. Events name the first
    100 users only.
    """
    found: dict[str, list[list[Message]]] = {}
    present: set[str] = set()
    for message in history:
        if message.event in ("created", "member_added"):
            for user in set(message.users) - present:
                found.setdefault(user, []).append([])
            present |= set(message.users)
        for user in present:
            found[user][-1].append(message)
        if message.event in ("member_left", "member_removed"):
            present -= set(message.users)
    return found


def violations(evidence: Evidence) -> list[Violation]:
    """Return every broken promise; an empty list is a pass."""
    found: list[Violation] = []
    for conv, history in evidence.history.items():
        found += _in_history(f"history of {conv}", history, [it for it in evidence.sent if it.conv == conv], evidence)
        found += _changes(f"history of {conv}", history, evidence)
        of_user = stays(history)
        for view in evidence.views:
            if view.conv == conv:
                found += _in_view(view, history, of_user.get(view.user, []))
    return found


def _in_history(
    where: str, history: Sequence[Message], sent: Sequence[Outgoing], evidence: Evidence
) -> list[Violation]:
    found = [Violation(Kind.DUPLICATED, where, it) for it in _repeated(message.server_id for message in history)]
    bodies = {outgoing.server_id: outgoing.body for outgoing in sent}
    # As they were written: what changes have made of them is judged by itself.
    texts = [
        replace(it, body=bodies.get(it.server_id, it.body)) if it.deleted or it.edited_at else it
        for it in history
        if it.kind == "text"
    ]
    by_content: dict[tuple[str, str], list[Message]] = {}
    for message in texts:
        by_content.setdefault((message.sender, message.body), []).append(message)
    for (sender, body), copies in by_content.items():
        if len(copies) > 1:
            found.append(Violation(Kind.DUPLICATED, where, f"{body} of {sender}"))
        if not any((it.sender, it.body) == (sender, body) for it in sent):
            found.append(Violation(Kind.INVENTED, where, f"{body} of {sender}"))
    stored = {message.server_id: message for message in texts}
    for outgoing in sent:
        at_its_place = stored.get(outgoing.server_id or "")
        if at_its_place is None:
            if outgoing.acks and outgoing.server_id not in evidence.excused:
                found.append(Violation(Kind.LOST, where, f"{outgoing.body} of {outgoing.sender}"))
        elif (at_its_place.sender, at_its_place.body) != (outgoing.sender, outgoing.body):
            found.append(Violation(Kind.INVENTED, where, f"{at_its_place.body} in the place of {outgoing.body}"))
    known = {message.server_id for message in history}
    begins = bool(history) and history[0].event == "created"
    # A second copy is wrong enough; the order is that of the first ones.
    firsts = [copies[0] for copies in by_content.values()]
    for chain in sorted({chain_of(it.server_id) for it in history}):
        rows = [it for it in history if chain_of(it.server_id) == chain]
        for before, after in pairwise(rows):
            link = after.prev
            while link is not None and link in evidence.told:
                link = evidence.told[link].prev
            # A change that nobody was told, as all read of it over REST, may stand between.
            if link != before.server_id and (link is None or link in known or not evidence.changed):
                found.append(Violation(Kind.BROKEN_CHAIN, where, after.server_id))
        if begins and rows[0].prev is not None:
            found.append(Violation(Kind.BROKEN_CHAIN, where, rows[0].server_id))
        of_chain = [it for it in firsts if chain_of(it.server_id) == chain]
        found += _order(where, of_chain, sent, pipelined=evidence.pipelined)
    return [*found, *_trespass(where, history)]


def may_change(change: Outgoing, message: Message, moderators: Collection[str] = ()) -> bool:
    """Return whether somebody who can see a message may change it so: only texts, edited by their authors alone."""
    its = change.sender == message.sender or (change.op == "delete" and change.sender in moderators)
    return message.kind == "text" and (change.op == "react" or its)


def _changes(where: str, history: Sequence[Message], evidence: Evidence) -> list[Violation]:
    """Hold each message to the changes of it that were acked and not refused, in the order of their ids.

    One whose answer is open may count or not. Nobody is told of one that nobody made.
    """
    of_target: dict[str, list[Outgoing]] = {}
    for outgoing in evidence.changed:
        of_target.setdefault(outgoing.target, []).append(outgoing)
    convs = {message.conv for message in history}
    present = {user for conv in convs for user in stays(history)}
    moderators = {user for conv in convs for user in evidence.moderators.get(conv, ())}
    found = []
    for message in history:
        changes = of_target.get(message.server_id, [])
        counting = [it for it in changes if it.settled and it.refusal is None and it.server_id not in evidence.excused]
        allowed = [it for it in counting if it.sender in present and may_change(it, message, moderators)]
        found += [
            Violation(Kind.NO_RIGHT, where, f"{it.op} of {message.server_id} by {it.sender}")
            for it in counting
            if it not in allowed
        ]
        if all(it.settled for it in changes) and not _is_as_changed(message, allowed):
            found.append(Violation(Kind.NOT_AS_CHANGED, where, message.server_id))
    made = {(it.op, it.target, it.sender, it.body, it.emoji, it.on) for it in evidence.changed}
    found += [
        Violation(Kind.INVENTED, where, f"{it.op} of {it.target} by {it.sender}")
        for it in evidence.told.values()
        if it.conv in convs and it.op != "link"
        if (it.op, it.target, it.sender, it.body, it.emoji, it.on) not in made
    ]
    return found


def _is_as_changed(message: Message, changes: Iterable[Outgoing]) -> bool:
    edit: Outgoing | None = None
    deleted = False
    reactions: dict[tuple[str, str], bool] = {}
    for it in sorted(changes, key=lambda it: order_of(it.server_id)):
        if it.op == "edit" and not deleted:
            edit = it
        deleted = deleted or it.op == "delete"
        if it.op == "react":
            reactions[it.sender, it.emoji] = it.on
    counts = Counter(emoji for (_, emoji), on in reactions.items() if on)
    return (
        message.deleted == deleted
        and (message.edited_at is not None) == (edit is not None and not deleted)
        and message.reactions == (() if deleted else tuple(sorted(counts.items())))
        and (not deleted or message.body == "")
        and (edit is None or deleted or message.body == edit.body)
    )


def _repeated(ids: Iterable[str]) -> list[str]:
    return [it for it, count in Counter(ids).items() if count > 1]


def _order(where: str, texts: Sequence[Message], sent: Sequence[Outgoing], *, pipelined: bool) -> list[Violation]:
    """Hold the history to the two orders that are promised.

    What was written after another's ack stands after it, whoever wrote them. What one connection wrote once stands as
    it was written; what went out again may have taken any place among those that were in flight with it.
    """
    copies: dict[tuple[str, str], list[Outgoing]] = {}
    for outgoing in sent:
        copies.setdefault((outgoing.sender, outgoing.body), []).append(outgoing)
    found: list[Violation] = []
    acked_later = float("inf")
    for message in reversed(texts):
        mine = copies.get((message.sender, message.body), [])
        if min((it.at for one in mine for it in one.written), default=float("inf")) > acked_later:
            found.append(Violation(Kind.OUT_OF_ORDER, where, f"{message.body} of {message.sender}"))
        acked_later = min([acked_later, *(it.at for one in mine for it in one.acks)])
    place = {(message.sender, message.body): number for number, message in enumerate(texts)}
    newest: dict[str, int] = {}
    for (sender, body), mine in copies.items():
        written = [it for one in mine for it in one.written]
        if not pipelined or len(written) != 1 or (sender, body) not in place:
            continue
        connection = written[0].connection
        if place[sender, body] < newest.get(connection, -1):
            found.append(Violation(Kind.OUT_OF_ORDER, where, f"{body} of {sender}"))
        newest[connection] = max(place[sender, body], newest.get(connection, -1))
    return found


def _trespass(where: str, history: Sequence[Message]) -> list[Violation]:
    """Who writes is a member at that place. Between two stays it is open: the server may know of the second already."""
    place = {message.server_id: number for number, message in enumerate(history)}
    first_and_last = {
        user: (place[its[0][0].server_id], place[its[-1][-1].server_id]) for user, its in stays(history).items()
    }
    outside = (len(history), -1)
    return [
        Violation(Kind.NOT_A_MEMBER, where, f"{message.body} of {message.sender}")
        for number, message in enumerate(history)
        for first, last in [first_and_last.get(message.sender, outside)]
        if message.kind == "text" and not first <= number <= last
    ]


def _is_the_same(message: Message, stored: Message) -> bool:
    """Return whether these are one message, whatever changes have made of it meanwhile."""

    def unchanged(it: Message) -> Message:
        return replace(it, body="", edited_at=None, deleted=False, reactions=())

    changed = message.deleted or stored.deleted or message.edited_at != stored.edited_at
    return unchanged(message) == unchanged(stored) and (changed or message.body == stored.body)


def _in_view(view: View, history: Sequence[Message], its_stays: Sequence[Sequence[Message]]) -> list[Violation]:
    where = f"{view.device} in {view.conv}"
    place = {message.server_id: number for number, message in enumerate(history)}
    entitled = {message.server_id for stay in its_stays for message in stay}
    last_stay = {message.server_id for message in its_stays[-1]} if its_stays else set()
    shown = [message.server_id for message in view.shown]
    found = [Violation(Kind.DUPLICATED, where, it) for it in _repeated(shown)]
    for message in view.shown:
        stored = history[place[message.server_id]] if message.server_id in place else None
        if stored is None or not _is_the_same(message, stored):
            found.append(Violation(Kind.INVENTED, where, message.server_id))
        elif message.server_id not in entitled:
            found.append(Violation(Kind.NOT_FOR_THIS_USER, where, message.server_id))
        # Of what one has left, one has what it was then.
        elif view.whole and message.server_id in last_stay and message != stored:
            found.append(Violation(Kind.NOT_AS_CHANGED, where, message.server_id))
    placed = [it for it in shown if it in place]
    found += [
        Violation(Kind.OUT_OF_ORDER, where, after) for before, after in pairwise(placed) if place[after] < place[before]
    ]
    if view.whole and its_stays:
        # Of earlier stays a device keeps what it has got; the server shows them no more.
        missing = [it.server_id for it in its_stays[-1] if it.server_id not in set(shown)]
        found += [Violation(Kind.LOST, where, it) for it in missing]
    return found
