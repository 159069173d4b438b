"""Rate limits and timers as values: the caller brings the time (design section 6)."""

from typing import Final, Generic, TypeVar

T = TypeVar("T")

#: What rounding may take from a token: who waited as long as was said gets it.
_DUST: Final = 1e-9


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
        if self._tokens >= 1.0 - _DUST:
            self._tokens = max(0.0, self._tokens - 1.0)
            return 0.0
        return (1.0 - self._tokens) / self._rate


class Spacing(Generic[T]):
    """Lets one event of a key through in ``interval_s``, of at most ``keys`` keys; more are refused."""

    __slots__ = ("_interval_s", "_keys", "_last")

    def __init__(self, *, interval_s: float, keys: int) -> None:
        self._interval_s = interval_s
        self._keys = keys
        #: Key -> when its last event passed. Made at the first one: most users never have any.
        self._last: dict[T, float] | None = None

    def take(self, key: T, now: float) -> bool:
        """Return whether an event of ``key`` may pass at ``now`` (monotonic seconds)."""
        last = self._last if self._last is not None else {}
        if now - last.get(key, float("-inf")) < self._interval_s:
            return False
        if key not in last and len(last) >= self._keys:
            last = {known: at for known, at in last.items() if now - at < self._interval_s}
            if len(last) >= self._keys:
                return False
        last[key] = now
        self._last = last
        return True


class TimerWheel(Generic[T]):
    """Many coarse timers on one tick: a list of items for each tick that has any.

    ``schedule`` and ``advance`` cost O(1) per item; a timer fires at the first ``advance`` past its
    time, so at most ``tick_s`` late.
    """

    def __init__(self, *, tick_s: float, now: float) -> None:
        self._tick_s = tick_s
        self._ticks: dict[int, list[T]] = {}
        self._next_tick = int(now / tick_s) + 1

    def schedule(self, item: T, *, at: float) -> None:
        """Fire ``item`` at monotonic time ``at``; where that is past, at the next ``advance``."""
        tick = max(int(at / self._tick_s) + 1, self._next_tick)
        self._ticks.setdefault(tick, []).append(item)

    def advance(self, now: float) -> list[T]:
        """Return every item whose time has come, the earliest tick first. What is scheduled after this fires later."""
        first, last = self._next_tick, int(now / self._tick_s)
        self._next_tick = max(first, last + 1)
        return [item for tick in range(first, last + 1) for item in self._ticks.pop(tick, ())]
