"""Who is connected to this pod, and the way of a batch to their sockets (design section 1, step 3)."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import Counter, Histogram

from messaging import tracing
from messaging.domain.connection import Allowance
from messaging.domain.events import Deliver
from messaging.domain.frames import Msg
from messaging.domain.ids import DeviceId, UserId
from messaging.domain.limits import Limits
from messaging.gateway.deadlines import Deadlines
from messaging.gateway.outbox import Encoded

if TYPE_CHECKING:
    from messaging.gateway.consumer import Socket

DELIVERED = Counter("chat_messages_delivered_total", "Messages written to sockets, one for each socket.")
SEND_TO_DELIVER = Histogram(
    "chat_send_to_deliver_seconds",
    "From the log's append time of a message to the last write on a recipient's socket here.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5),
)

#: Allowances kept of users who are gone.
_REMEMBERED = 10_000
#: Sockets of one delivery that are written before others have their turn: 12 ms.
_TURN = 200


class LocalUser:
    """A user with at least one connection here: the sockets, and the allowance they share."""

    __slots__ = ("allowance", "sockets")

    def __init__(self, allowance: Allowance) -> None:
        self.sockets: list[Socket] = []
        self.allowance = allowance


class Hub:
    """The pod's connections by user. Used on the event loop only."""

    def __init__(self, *, limits: Limits, deadlines: Deadlines | None = None) -> None:
        self._limits = limits
        #: Authenticated sockets.
        self.size = 0
        self._deadlines = deadlines
        self._users: dict[UserId, LocalUser] = {}
        #: Allowances of those who left last, so that nobody gets a new one by connecting again. Bounded.
        self._left: OrderedDict[UserId, Allowance] = OrderedDict()

    def allowance_of(self, user: UserId, now: float, *, is_bot: bool = False) -> Allowance:
        """Return the user's allowance on this pod, shared by all connections of the user."""
        local = self._users.get(user)
        if local is not None:
            return local.allowance
        return self._left.pop(user, None) or Allowance(limits=self._limits, now=now, is_bot=is_bot)

    def add(self, socket: "Socket", allowance: Allowance) -> bool:
        """Add an authenticated socket; return whether it is the user's first here."""
        user = socket.connection.user
        local = self._users.get(user)
        first = local is None
        if local is None:
            local = self._users[user] = LocalUser(allowance)
        local.sockets.append(socket)
        self.size += 1
        return first

    def remove(self, socket: "Socket") -> bool:
        """Remove a socket; return whether it was the user's last here."""
        user = socket.connection.user
        local = self._users.get(user)
        if local is None or socket not in local.sockets:
            return False
        local.sockets.remove(socket)
        self.size -= 1
        if local.sockets:
            return False
        del self._users[user]
        self._left[user] = local.allowance
        if len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)
        return True

    def is_here(self, user: UserId) -> bool:
        """Return whether the user has a connection on this pod."""
        return user in self._users

    def sockets_of(self, user: UserId) -> list["Socket"]:
        """Return a copy of the user's sockets here."""
        local = self._users.get(user)
        return list(local.sockets) if local else []

    def all_sockets(self) -> Iterator["Socket"]:
        """Yield every authenticated socket."""
        for local in list(self._users.values()):
            yield from list(local.sockets)

    def is_empty(self) -> bool:
        """Return whether nobody is connected."""
        return not self._users

    async def deliver(self, event: Deliver) -> None:
        """Queue the event's frame on every local connection of its users; encodes once per subprotocol.

        The thousands of a large group are written in parts, between which others have their turn: writing to 2,500
        takes 150 ms.
        """
        frame = Encoded(event.frame, ephemeral=event.ephemeral)
        own = frame if event.own is None else Encoded(event.own, ephemeral=event.ephemeral)
        users = self._users
        written = 0
        message = event.frame if isinstance(event.frame, Msg) else None
        unanswered: dict[DeviceId, UserId] = {}
        next_pause = _TURN
        span = tracing.begin("pod.deliver", parent=event.trace) if event.trace else None
        for user in event.users:
            if written >= next_pause:
                next_pause += _TURN
                # They are watched before any of them can answer.
                unanswered = self._watch(message, unanswered)
                await asyncio.sleep(0)
            local = users.get(user)
            if local is None:
                continue
            chosen = own if user == event.author else frame
            for socket in list(local.sockets):
                if event.except_conn is None or socket.conn != event.except_conn:
                    socket.outbox.put(chosen)
                    written += 1
                    if message is not None and user != event.author:
                        unanswered[socket.connection.device] = user
        if written and message is not None:
            # Once for all of them: they were written one after the other, and the last is what the SLO is about.
            SEND_TO_DELIVER.observe(max(0.0, time.time() - message.ts / 1000))
            DELIVERED.inc(written)
            self._watch(message, unanswered)
        if span is not None:
            span.set_attribute("chat.sockets", written)
            span.end()

    def _watch(self, message: Msg | None, devices: dict[DeviceId, UserId]) -> dict[DeviceId, UserId]:
        """Have it watched that these devices answer a message; return none, for those that are written next."""
        if message is not None and self._deadlines is not None:
            self._deadlines.wrote(message, devices)
        return {}
