"""RateLimiter in the memory of one process."""

import threading
import time
from collections.abc import Callable


class MemoryRateLimiter:
    """See the port. From any thread. ``monotonic``: seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    async def take(self, name: str, wanted: int, *, rate_per_s: float, burst: int) -> tuple[int, float]:
        """Take tokens; see the port."""
        with self._lock:
            now = self._monotonic()
            tokens, updated = self._buckets.get(name, (float(burst), now))
            tokens = min(float(burst), tokens + (now - updated) * rate_per_s)
            granted = min(int(tokens), wanted)
            tokens -= granted
            self._buckets[name] = (tokens, now)
            return granted, (1.0 - tokens) / rate_per_s if granted < wanted else 0.0
