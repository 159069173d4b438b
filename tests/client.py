"""The reference client (``clients/python``) as a phone would run it, which writes down what happened to it.

It takes a list of gateways and picks one at each connect, however those were started. ``tests/history.py`` judges what
it wrote down.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from clients.python.chat_client import Account, Change, Client, Message, Outgoing, Settings
from clients.python.chat_client.client import Acked, Written

__all__ = ["Acked", "Arrival", "Attempt", "Backfilled", "Device", "Outgoing", "Written"]

Frame = dict[str, Any]


# --- what is written down; times are of time.monotonic() ------------------------------------------


@dataclass(slots=True)
class Attempt:
    """A try to connect to ``gateway``: what came of it, and when."""

    gateway: str
    at: float
    #: Greeted, synced and the outbox sent again; None where it did not come so far.
    up_at: float | None = None
    lost_at: float | None = None
    #: The close code, or what kept it from coming up.
    end: int | str | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """The first copy of a message came, after the n-th attempt. ``via``: ``live``, ``backfill`` or ``rest``."""

    message: Message
    via: str
    attempt: int
    at: float


@dataclass(frozen=True, slots=True)
class Backfilled:
    """A ``backfill`` came. ``mark``: what the device had named for the conversation, if it had."""

    conv: str
    mark: str | None
    messages: tuple[Message, ...]
    more: bool
    changes: tuple[Change, ...]
    stale: bool


# --- the device -----------------------------------------------------------------------------------


class Device(Client):
    """One device of one user, on one event loop. ``connect`` and ``drop`` move it by hand; ``run`` does it all.

    ``close`` it in the end; what it wrote down stays.
    """

    def __init__(
        self,
        gateways: Sequence[str],
        account: Account,
        *,
        name: str,
        random: Random | None = None,
        heartbeat_s: float | None = None,
        backoff_cap_s: float = 30.0,
    ) -> None:
        """``gateways``: addresses as ``host:port``. ``heartbeat_s``: in place of the one that ``ready`` states."""
        super().__init__(
            [f"http://{gateway}" for gateway in gateways],
            account.token,
            user=account.user,
            name=name,
            settings=Settings(heartbeat_s=heartbeat_s, backoff_cap_s=backoff_cap_s, keep=None),
            random=random,
        )
        #: Everything it ever wrote, by ``msg_id``, in order.
        self.sent: dict[str, Outgoing] = {}
        #: Every change it ever made, likewise.
        self.changed: dict[str, Outgoing] = {}
        #: Every change it was ever told, by ``server_id``.
        self.changes: dict[str, Change] = {}
        self.arrivals: list[Arrival] = []
        self.backfills: list[Backfilled] = []
        #: Frames of other kinds, in order: receipts, hints, errors.
        self.others: list[Frame] = []
        #: Refusals of sends that pass, each at its time: codes.
        self.postponed: list[tuple[float, str]] = []
        #: Every try to connect; the last is the present connection, where there is one.
        self.attempts: list[Attempt] = []

    def on_attempt(self, server: str) -> None:
        self.attempts.append(Attempt(server.removeprefix("http://"), time.monotonic()))

    def on_up(self) -> None:
        self.attempts[-1].up_at = time.monotonic()

    def on_down(self, end: int | str | None) -> None:
        attempt = self.attempts[-1]
        if isinstance(end, str):
            attempt.end = attempt.end or end
        else:
            # Where it did not come up, what kept it was told before.
            attempt.lost_at, attempt.end = time.monotonic(), attempt.end if end is None else end

    def on_postponed(self, outgoing: Outgoing, code: str) -> None:
        self.postponed.append((time.monotonic(), code))

    def on_arrival(self, message: Message, via: str) -> None:
        self.arrivals.append(Arrival(message, via, len(self.attempts), time.monotonic()))

    def on_change(self, change: Change) -> None:
        self.changes[change.server_id] = change

    def on_backfill(self, frame: Frame, asked: str | None) -> None:
        messages = tuple(Message.of(it) for it in frame["messages"])
        changes = tuple(Change.of(it) for it in frame.get("changes", ()))
        more, stale = bool(frame.get("more")), bool(frame.get("stale"))
        self.backfills.append(Backfilled(frame["conv"], asked, messages, more, changes, stale))

    def on_frame(self, frame: Frame) -> None:
        self.others.append(frame)

    def _track(self, outgoing: Outgoing) -> None:
        super()._track(outgoing)
        (self.sent if outgoing.op == "send" else self.changed)[outgoing.msg_id] = outgoing

    def _outgoing(self, msg_id: str | None) -> Outgoing | None:
        # All of them: the judge wants the corrections of the oldest, too.
        return self.sent.get(msg_id or "") or self.changed.get(msg_id or "")
