"""What the generators note, and the check of it: was anything lost, doubled or out of order? (docs/performance.md)

A message is known by the number in its body, which the sender chose, and by its ``server_id``, which the server chose.
A client drops what it holds by ``server_id``; what is left after that must be every message, once, in the order of
``prev``: in a hot conversation, which has several chains of it, in each.
"""

from array import array
from base64 import urlsafe_b64decode
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

#: The number of what no generator sent: an event in the history of a group.
NOT_OURS = -1


def _column() -> "array[int]":
    return array("q")


def chain_of(server_id: str) -> int:
    """Return the chain that a message is in: bits 17 to 21 of its id's last eight bytes (docs/protocol.md)."""
    return urlsafe_b64decode(server_id[2:] + "==")[13] >> 1 & 31


@dataclass(frozen=True, slots=True)
class Received:
    """One message as the server named it. ``number``: its sender's; ``ts``: when the log took it, in Unix ms."""

    server_id: str
    prev: str | None
    conv: str
    number: int
    ts: int

    @property
    def chain(self) -> int:
        """The chain that it is in."""
        return chain_of(self.server_id)


@dataclass(frozen=True, slots=True)
class Sent:
    """One message as its sender knows it. ``due``: when it was to be sent, ``at``: when it was; ns, CLOCK_MONOTONIC."""

    sender: int
    conv: str
    due: int
    at: int


@dataclass(slots=True)
class Record:
    """What one generator saw. Deliveries are kept in columns: a run has millions of them, and all are kept, copies too.

    ``batch`` is 0 for a live frame, else the number of the backfill that brought it.
    """

    sent: dict[int, Sent] = field(default_factory=dict)
    #: Message -> time of its ack, ns.
    acked: dict[int, int] = field(default_factory=dict)
    #: Message -> code of the error that answered it.
    refused: dict[int, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    device: "array[int]" = field(default_factory=_column)
    #: Index into ``received``.
    message: "array[int]" = field(default_factory=_column)
    at: "array[int]" = field(default_factory=_column)
    batch: "array[int]" = field(default_factory=_column)
    _index: dict[str, int] = field(default_factory=dict)

    def index_of(self, server_id: str) -> int | None:
        """Return the index of a message that was received before."""
        return self._index.get(server_id)

    def add(self, message: Received) -> int:
        """Note a message that is received for the first time here; return its index."""
        index = self._index[message.server_id] = len(self.received)
        self.received.append(message)
        return index

    def deliver(self, *, device: int, message: int, at: int, batch: int = 0) -> None:
        """Note that a device got a message, by its index."""
        self.device.append(device)
        self.message.append(message)
        self.at.append(at)
        self.batch.append(batch)


@dataclass(slots=True)
class Verdict:
    """What became of the messages. Counts, and times in ns for the messages that were measured."""

    sent: int = 0
    acked: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    #: Sent, and neither acknowledged nor refused.
    unanswered: int = 0
    #: Deliveries to devices other than the sender's, after dedupe.
    delivered: int = 0
    #: Acknowledged messages that not every other member's device got.
    lost: int = 0
    #: Deliveries that these lack.
    missing: int = 0
    #: One message under two ids on one device: dedupe by ``server_id`` cannot see it.
    duplicates: int = 0
    #: Copies that dedupe dropped. At least once is what is promised, so they are no fault.
    repeats: int = 0
    #: Messages that came after a later one, live or within one backfill.
    out_of_order: int = 0
    #: Deliveries, after dedupe, that a backfill brought.
    by_backfill: int = 0
    #: From the intended time, and from the time of writing, to the delivery at one device.
    deliver_due: list[int] = field(default_factory=list)
    deliver_sent: list[int] = field(default_factory=list)
    #: … to the ack.
    ack_due: list[int] = field(default_factory=list)
    ack_sent: list[int] = field(default_factory=list)
    #: From the intended time to the delivery at the last of all devices.
    to_all_due: list[int] = field(default_factory=list)
    #: From the intended time to the time of writing: how far the generator itself was behind.
    pacing: list[int] = field(default_factory=list)
    #: From the first intended time to the last ack, and to the last delivery.
    window: int = 0
    delivery_window: int = 0


class _Merged:
    """All generators' records as one."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.sent: dict[int, Sent] = {}
        self.acked: dict[int, int] = {}
        self.refused: dict[int, str] = {}
        self.received: list[Received] = []
        self._records = records
        self._global: list[list[int]] = []
        index: dict[str, int] = {}
        for record in records:
            self.sent |= record.sent
            self.acked |= record.acked
            self.refused |= record.refused
            mapping = []
            for message in record.received:
                at = index.setdefault(message.server_id, len(self.received))
                if at == len(self.received):
                    self.received.append(message)
                mapping.append(at)
            self._global.append(mapping)

    def deliveries(self) -> Iterable[tuple[int, int, int, int]]:
        """Yield (device, message, at, batch), in the order in which each device got them."""
        for record, mapping in zip(self._records, self._global, strict=True):
            for device, message, at, batch in zip(record.device, record.message, record.at, record.batch, strict=True):
                yield device, mapping[message], at, batch


def places(received: Sequence[Received]) -> list[int]:
    """Return each message's place in the order of its conversation, as ``prev`` tells it.

    A message whose ``prev`` nobody received begins a new stretch; stretches stand in the order of the log's time.
    """
    following: dict[str, list[int]] = defaultdict(list)
    known = {message.server_id for message in received}
    starts: list[int] = []
    for index, message in enumerate(received):
        if message.prev is not None and message.prev in known:
            following[message.prev].append(index)
        else:
            starts.append(index)
    found = [-1] * len(received)
    place = 0
    for start in sorted(starts, key=lambda index: received[index].ts):
        stretch = [start]
        while stretch:
            index = stretch.pop()
            found[index] = place
            place += 1
            stretch += following[received[index].server_id]
    return found


def check(
    records: Sequence[Record], *, members: Mapping[str, Sequence[int]], untimed: Container[int] = range(0)
) -> Verdict:
    """Return the verdict on a run. ``members``: the devices of each conversation.

    Messages numbered in ``untimed`` (a warm-up, what was written while readers were away) are checked all the same.
    """
    merged = _Merged(records)
    verdict = Verdict(sent=len(merged.sent), acked=len(merged.acked))
    for code in merged.refused.values():
        verdict.refused[code] = verdict.refused.get(code, 0) + 1
    verdict.unanswered = len(merged.sent.keys() - merged.acked.keys() - merged.refused.keys())
    reached = _check_deliveries(merged, verdict, untimed)
    for number, acked_at in merged.acked.items():
        sent = merged.sent[number]
        others = [device for device in members[sent.conv] if device != sent.sender]
        got = reached.get(number, {})
        missing = sum(device not in got for device in others)
        verdict.missing += missing
        verdict.lost += missing > 0
        if number not in untimed:
            verdict.ack_due.append(acked_at - sent.due)
            verdict.ack_sent.append(acked_at - sent.at)
            if others and not missing:
                verdict.to_all_due.append(max(got[device] for device in others) - sent.due)
    timed = {number: sent for number, sent in merged.sent.items() if number not in untimed}
    verdict.pacing = [sent.at - sent.due for sent in timed.values()]
    began = min((sent.due for sent in timed.values()), default=0)
    verdict.window = max((merged.acked[number] for number in timed if number in merged.acked), default=began) - began
    delivered = (max(reached[number].values()) for number in timed if number in reached)
    verdict.delivery_window = max(delivered, default=began) - began
    return verdict


def _check_deliveries(merged: _Merged, verdict: Verdict, untimed: Container[int]) -> dict[int, dict[int, int]]:
    """Fill in what deliveries alone tell; return message -> device -> time of its first delivery there."""
    received, sent = merged.received, merged.sent
    place = places(received)
    chains = [message.chain for message in received]
    seen: set[tuple[int, int]] = set()
    newest: dict[tuple[int, str, int, int], int] = {}
    reached: dict[int, dict[int, int]] = defaultdict(dict)
    for device, index, at, batch in merged.deliveries():
        if (device, index) in seen:
            verdict.repeats += 1
            continue
        seen.add((device, index))
        message = received[index]
        line = (device, message.conv, chains[index], batch)
        if place[index] < newest.get(line, -1):
            verdict.out_of_order += 1
        else:
            newest[line] = place[index]
        if message.number == NOT_OURS:
            continue
        there = reached[message.number]
        if device in there:
            verdict.duplicates += 1
            continue
        there[device] = at
        verdict.by_backfill += batch > 0
        origin = sent.get(message.number)
        if origin is None or origin.sender == device:
            continue
        verdict.delivered += 1
        if message.number not in untimed:
            verdict.deliver_due.append(at - origin.due)
            verdict.deliver_sent.append(at - origin.at)
    return reached
