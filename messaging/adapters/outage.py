"""What is known of an engine that does not answer: its absence costs one wait a second, not one per call."""

import logging
import threading
import time
from collections.abc import Callable

from prometheus_client import Counter, Gauge

logger = logging.getLogger(__name__)

OUT = Gauge("chat_engine_out", "1 while this engine does not answer this process.", ["engine"])
OUTAGES = Counter("chat_engine_outages_total", "Times that an engine ceased to answer this process.", ["engine"])


class Outage:
    """Whether one engine is away, for one process. Says so once in the log, and once more when it is back.

    After a failure calls are refused for ``retry_s``, then one is let through to try; another not before its answer, or
    ``try_s``, by default as long as ``retry_s``. From any thread.
    """

    def __init__(
        self,
        engine: str,
        *,
        retry_s: float = 1.0,
        try_s: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._retry_s = retry_s
        self._try_s = retry_s if try_s is None else try_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._since: float | None = None
        self._next_try = 0.0
        OUT.labels(engine).set(0)

    def refuses(self) -> bool:
        """Return whether a call should fail without being tried. Whoever gets False reports how it went."""
        if self._since is None:
            return False
        with self._lock:
            now = self._monotonic()
            if now < self._next_try:
                return True
            self._next_try = now + self._try_s
            return False

    def failed(self, error: BaseException) -> None:
        """Note that a call failed."""
        now = self._monotonic()
        self._next_try = now + self._retry_s
        if self._since is None:
            self._since = now
            OUT.labels(self._engine).set(1)
            OUTAGES.labels(self._engine).inc()
            logger.warning("%s does not answer: %s: %s", self._engine, type(error).__name__, error)

    def succeeded(self) -> None:
        """Note that a call was answered."""
        if self._since is not None:
            logger.warning("%s answers again after %.1f s", self._engine, self._monotonic() - self._since)
            self._since = None
            OUT.labels(self._engine).set(0)
