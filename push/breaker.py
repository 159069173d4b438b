"""When a provider is not asked at all: it is out, or it asked for a pause. Pure: the caller brings the time."""

from typing import Final

_FAILURES: Final = 5
_FIRST_S: Final = 5.0
_LONGEST_S: Final = 60.0


class Breaker:
    """Opens after some outages in a row, for longer each time; then one push tries. Time in monotonic seconds."""

    def __init__(self, *, failures: int = _FAILURES, first_s: float = _FIRST_S, longest_s: float = _LONGEST_S) -> None:
        self._limit = failures
        self._first_s = first_s
        self._longest_s = longest_s
        self._failures = 0
        self._pause_s = first_s
        self._until = 0.0
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether the provider counts as out."""
        return self._failures >= self._limit

    def wait_s(self, now: float) -> float:
        """Return 0.0 where a push may go, else for how long none should. Whoever gets 0.0 reports how it went."""
        if now < self._until:
            return self._until - now
        if not self.is_open:
            return 0.0
        if self._trying:
            return self._first_s
        self._trying = True
        return 0.0

    def pause(self, seconds: float, now: float) -> None:
        """Send nothing for so long: the provider said so."""
        self._until = max(self._until, now + min(seconds, self._longest_s * 5))

    def succeeded(self) -> None:
        """Note that the provider took or refused a push: it is there."""
        self._failures = 0
        self._pause_s = self._first_s
        self._trying = False

    def failed(self, now: float) -> None:
        """Note an outage."""
        self._failures += 1
        if self._trying:
            self._pause_s = min(self._pause_s * 2, self._longest_s)
        self._trying = False
        if self.is_open and now >= self._until:
            self._until = now + self._pause_s
