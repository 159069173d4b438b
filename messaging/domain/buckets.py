"""Rate limits and timers as values: the caller brings the time (design section 6)."""

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class TokenBucket:
    """Lets ``burst`` events through at once and ``rate_per_s`` for long. ``now`` in monotonic seconds."""

    __slots__ = ("_burst", "_rate", "_tokens", "_updated")

    def __init__(self, *, rate_per_s: float, burst: int, now: float) -> None:
        self._rate = rate_per_s
        self._burst = float(burst)
        self._tokens = float(burst)
        self._updated = now

    def take(self, now: float) -> float:
        """Take one token: return 0.0, or, where there is none, the seconds until there will be."""
        self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate)
        self._updated = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._rate


class TimerWheel(Generic[T]):
    """Many coarse timers on one tick: a ring of sets, each one tick wide.

    ``schedule`` and ``advance`` cost O(1) per item; a timer fires at the first ``advance`` past its
    time, so at most ``tick_s`` late.
    """

    def __init__(self, *, tick_s: float, slots: int, now: float) -> None:
        self._tick_s = tick_s
        self._slots: list[list[T]] = [[] for _ in range(slots)]
        self._next_tick = int(now / tick_s) + 1

    def schedule(self, item: T, *, at: float) -> None:
        """Fire ``item`` at monotonic time ``at``.

        Raises:
            ValueError: ``at`` is further away than the wheel is long.
        """
        tick = max(int(at / self._tick_s) + 1, self._next_tick)
        if tick - self._next_tick >= len(self._slots):
            raise ValueError("the timer lies beyond the wheel's span")
        self._slots[tick % len(self._slots)].append(item)

    def advance(self, now: float) -> Iterator[T]:
        """Yield every item whose time has come. Items scheduled while iterating fire on a later advance."""
        last = int(now / self._tick_s)
        while self._next_tick <= last:
            index = self._next_tick % len(self._slots)
            due, self._slots[index] = self._slots[index], []
            self._next_tick += 1
            yield from due
