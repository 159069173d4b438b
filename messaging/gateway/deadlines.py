"""The delivery deadline: who was written a message and does not say ``delivered`` is offline for it (design section 6).

Half-open sockets are the rule on phones. What the router counts as reached is followed here, on the pod that wrote to
the socket, for ``delivery_deadline_s``; then the topic ``push`` hears of it, where it is decided whether there is a
push: of the device alone, where another of the same user has answered here, and else of the user, as if away.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import Counter, Gauge

from messaging.domain import events
from messaging.domain.buckets import TimerWheel
from messaging.domain.frames import Msg
from messaging.domain.ids import ConversationId, DeviceId, MessageId, UserId, parse_server_id, parse_user
from messaging.ports import LogUnavailable, MessageLog
from messaging.services.push_intents import append_intents

logger = logging.getLogger(__name__)

WAITING = Gauge("chat_delivery_deadline_devices", "Devices of this pod that have yet to say delivered.")
UNWATCHED = Counter("chat_delivery_deadline_unwatched_total", "Deliveries without a deadline: too many were under way.")

_TICK_S: Final = 1.0
_MAX_DEVICES: Final = 200_000
_MAX_MESSAGES: Final = 50_000
#: Intents that the log did not take yet.
_MAX_LATE: Final = 10_000
_FLUSH_TIMEOUT_S: Final = 2.0

_Key = tuple[ConversationId, MessageId]


@dataclass(slots=True)
class _Written:
    """A message on its way: from whom, whether to a large group, and which devices have yet to answer."""

    sender: UserId
    in_large_group: bool
    devices: dict[DeviceId, UserId]
    #: People one of whose devices has answered: they are there, and only the silent device is away.
    answered: set[UserId] = field(default_factory=set)


class Deadlines:
    """See the module. One wheel for all, no timer per message; used on the event loop only.

    Overflow rule: past ``max_devices`` devices or ``max_messages`` messages that are watched, further deliveries are
    not watched, and counted.
    """

    def __init__(
        self,
        log: MessageLog,
        *,
        deadline_s: float,
        now: Callable[[], float],
        max_devices: int = _MAX_DEVICES,
        max_messages: int = _MAX_MESSAGES,
    ) -> None:
        """``now``: monotonic seconds."""
        self._log = log
        self._deadline_s = deadline_s
        self._now = now
        self._max_devices = max_devices
        self._max_messages = max_messages
        self._wheel: TimerWheel[_Key] = TimerWheel(tick_s=_TICK_S, now=now())
        self._scheduled = 0
        self._written: dict[_Key, _Written] = {}
        self._devices = 0
        self._late: list[events.PushIntent] = []

    def wrote(self, frame: Msg, devices: dict[DeviceId, UserId]) -> None:
        """Watch a message that was just written to these devices, none of them its author's."""
        if not devices or frame.kind != "text":
            return
        if self._devices + len(devices) > self._max_devices or self._scheduled >= self._max_messages:
            UNWATCHED.inc(len(devices))
            return
        key = parse_server_id(frame.server_id)
        before = self._written.get(key)
        if before is not None:
            # Written a second time: the router read it again after a crash.
            devices = {device: user for device, user in devices.items() if device not in before.devices}
            before.devices.update(devices)
        else:
            self._written[key] = _Written(parse_user(frame.sender), frame.spread_ms is not None, devices)
            self._wheel.schedule(key, at=self._now() + self._deadline_s)
            self._scheduled += 1
        self._count(len(devices))

    def delivered(self, key: _Key, device: DeviceId) -> None:
        """Note that a device has a message."""
        written = self._written.get(key)
        if written is not None and (user := written.devices.pop(device, None)) is not None:
            written.answered.add(user)
            self._count(-1)
            if not written.devices:
                del self._written[key]

    def in_large_group(self, key: _Key) -> bool:
        """Return whether this is a message that is watched, and one of a large group."""
        written = self._written.get(key)
        return written is not None and written.in_large_group

    def read(self, key: _Key, user: UserId) -> None:
        """Note that a user has read a message: none of the user's devices need be told of it any more."""
        written = self._written.get(key)
        if written is not None:
            for device in [device for device, owner in written.devices.items() if owner == user]:
                self.delivered(key, device)

    async def run(self) -> None:
        """Append what is overdue, until cancelled."""
        while True:
            await asyncio.sleep(_TICK_S)
            await self.tick()

    async def tick(self) -> None:
        """Append an intent for every message whose deadline is past; what the log does not take comes with the next."""
        due = self._wheel.advance(self._now())
        self._scheduled -= len(due)
        await self._append([intent for key in due for intent in self._give_up(key)])

    async def flush(self) -> None:
        """Give up on every device that has yet to answer: the pod ends, and nobody would watch any more."""
        try:
            async with asyncio.timeout(_FLUSH_TIMEOUT_S):
                await self._append([intent for key in list(self._written) for intent in self._give_up(key)])
        except TimeoutError:
            logger.warning("the log does not answer; who had yet to answer gets no push")

    def _give_up(self, key: _Key) -> list[events.PushIntent]:
        written = self._written.pop(key, None)
        if written is None:
            return []
        self._count(-len(written.devices))
        intents = []
        silent = list(written.devices.items())
        for start in range(0, len(silent), events.MAX_PAGE):
            page = silent[start : start + events.MAX_PAGE]
            away = sorted({user for _, user in page if user not in written.answered})
            devices = [device for device, user in page if user in written.answered]
            intents.append(events.PushIntent(*key, written.sender, away, devices))
        return intents

    async def _append(self, intents: list[events.PushIntent]) -> None:
        late = self._late + intents
        self._late = []
        if not late:
            return
        try:
            await append_intents(self._log, late, by="deadline")
        except LogUnavailable:
            UNWATCHED.inc(sum(len(it.devices) + len(it.users) for it in late[:-_MAX_LATE]))
            self._late = late[-_MAX_LATE:]

    def _count(self, more: int) -> None:
        self._devices += more
        WAITING.inc(more)
