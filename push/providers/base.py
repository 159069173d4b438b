"""What all providers have in common: an address and a notice in, an outcome out (design section 8)."""

import email.utils
import time
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Address:
    """Where a device can be reached."""

    provider: str
    token: str
    keys: dict[str, str] = field(default_factory=dict)
    environment: str = "production"
    topic: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """What is to be said. ``title`` empty: nothing is shown; ``read`` was read elsewhere and is taken back.

    ``data`` reaches the app as it is. What has the same ``collapse`` replaces each other on the device.
    ``quiet``: it is nothing new, and makes no sound.
    ``expires_s``: how long the provider keeps it for a device that is off.
    """

    title: str
    body: str
    data: dict[str, str]
    collapse: str
    badge: int
    expires_s: int = 24 * 3600
    quiet: bool = False

    @property
    def silent(self) -> bool:
        """Whether nothing is to be shown."""
        return not self.title


class Result(Enum):
    """What came of sending."""

    SENT = auto()
    #: The address is dead: forget it.
    GONE = auto()
    #: Refused for good; the address may be fine.
    REFUSED = auto()
    #: Not now.
    RETRY = auto()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of sending, and the provider's word for it, which names no person and holds no text.

    ``retry_after_s``: where the provider asked for a pause. ``outage``: it is the provider, or our credentials, and
    not this push. ``untried``: no provider has seen it.
    """

    result: Result
    reason: str = ""
    retry_after_s: float | None = None
    outage: bool = False
    untried: bool = False


SENT = Outcome(Result.SENT)


class PushProvider(Protocol):
    """One carrier. Used on one event loop; many sends at a time. ``send`` never raises for what the network does."""

    async def send(self, address: Address, notice: Notice) -> Outcome:
        """Hand one notice over; returns within ``TIMEOUT_S``."""

    async def close(self) -> None:
        """Close the connections."""


#: Of one send.
TIMEOUT_S = 10.0


def retry_after(header: str | None) -> float | None:
    """Return the seconds of a Retry-After header, which has a number or a date; None where it says nothing usable."""
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
