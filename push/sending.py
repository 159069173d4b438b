"""The way out: rate, circuit breaker, many at once on the providers' connections (design section 8).

It runs on an event loop of its own, in one thread of the worker, so that connections outlive the jobs.
"""

import asyncio
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

from django.conf import settings
from prometheus_client import Counter, Gauge

from chatproject import container
from messaging.ports import RateLimiter
from push import providers
from push.breaker import Breaker
from push.providers.base import Address, Notice, Outcome, PushProvider, Result

logger = logging.getLogger(__name__)

T = TypeVar("T")

SENT = Counter("chat_push_sent_total", "Pushes by provider and what came of them.", ["provider", "result"])
OPEN = Gauge("chat_push_breaker_open", "1 while the provider counts as out and is not asked.", ["provider"])
LIMITED = Counter("chat_push_rate_limited_total", "Pushes that had to wait for the provider's rate.", ["provider"])

#: Requests under way at once, of one worker process and provider.
_MAX_CONCURRENT: Final = 100
#: How long one call waits for the rate; what is left then is tried again later.
_PATIENCE_S: Final = 20.0
#: The longest that a job waits for the whole: patience, and one push's own time.
_CALL_TIMEOUT_S: Final = 60.0
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 1.0, 60.0

Item = tuple[Address, Notice]


def backoff_s(attempts: int, asked_s: float | None = None) -> float:
    """Return how long to wait after so many attempts: twice as long each time, with jitter; what was asked at least."""
    longest = min(_FIRST_BACKOFF_S * 2.0 ** min(attempts, 10), _LONGEST_BACKOFF_S)
    return max(asked_s or 0.0, random.uniform(longest / 2, longest))  # noqa: S311  # spreads, hides nothing


class Sender:
    """Sends through the providers. Used on one event loop."""

    def __init__(
        self,
        providers: Mapping[str, PushProvider],
        limiter: RateLimiter,
        *,
        rate_per_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._providers = providers
        self._limiter = limiter
        self._rate_per_s = rate_per_s
        self._monotonic = monotonic
        self._patience_s = patience_s
        self._breakers = {name: Breaker() for name in providers}
        self._places = {name: asyncio.Semaphore(_MAX_CONCURRENT) for name in providers}

    async def send(self, items: Sequence[Item]) -> list[Outcome]:
        """Return what came of each, in their order; nothing is raised, and it ends in bounded time.

        What could not be tried (rate, breaker) is a RETRY with ``retry_after_s`` that no provider has seen.
        """
        outcomes: list[Outcome | None] = [None] * len(items)
        by_provider: dict[str, list[int]] = {}
        for index, (address, _) in enumerate(items):
            by_provider.setdefault(address.provider, []).append(index)

        async def through(name: str, indexes: list[int]) -> None:
            provider = self._providers.get(name)
            if provider is None:
                for index in indexes:
                    outcomes[index] = Outcome(Result.REFUSED, "this server has no such provider")
                return
            await self._through(name, provider, items, indexes, outcomes)

        await asyncio.gather(*(through(name, indexes) for name, indexes in by_provider.items()))
        done = [outcome or Outcome(Result.RETRY, "not tried", untried=True) for outcome in outcomes]
        for (address, _), outcome in zip(items, done, strict=True):
            SENT.labels(address.provider, outcome.result.name.lower()).inc()
        return done

    async def _through(
        self,
        name: str,
        provider: PushProvider,
        items: Sequence[Item],
        indexes: list[int],
        outcomes: list[Outcome | None],
    ) -> None:
        until = self._monotonic() + self._patience_s
        waiting = list(indexes)

        async def one(index: int) -> None:
            async with self._places[name]:
                outcomes[index] = await self._one(name, provider, *items[index])

        async with asyncio.TaskGroup() as running:
            while waiting:
                granted, wait_s = await self._limiter.take(
                    f"push:{name}", len(waiting), rate_per_s=self._rate_per_s, burst=max(1, int(self._rate_per_s))
                )
                for index in waiting[:granted]:
                    running.create_task(one(index))
                waiting = waiting[granted:]
                if not waiting:
                    break
                LIMITED.labels(name).inc(len(waiting))
                if self._monotonic() + wait_s > until:
                    for index in waiting:
                        outcomes[index] = Outcome(Result.RETRY, "rate", wait_s, untried=True)
                    break
                await asyncio.sleep(max(wait_s, 0.01))

    async def _one(self, name: str, provider: PushProvider, address: Address, notice: Notice) -> Outcome:
        breaker = self._breakers[name]
        wait_s = breaker.wait_s(self._monotonic())
        if wait_s:
            return Outcome(Result.RETRY, "circuit open", wait_s, untried=True)
        try:
            outcome = await provider.send(address, notice)
        except Exception:
            # A defect of ours, or of a library's; this push is not tried again, and the others go on.
            logger.exception("sending by %s failed", name)
            outcome = Outcome(Result.REFUSED, "internal error")
        except asyncio.CancelledError:
            # It may have been the one that tries whether the provider is back; the next has to be let through.
            breaker.failed(self._monotonic())
            raise
        if outcome.retry_after_s:
            breaker.pause(outcome.retry_after_s, self._monotonic())
        if outcome.outage:
            breaker.failed(self._monotonic())
        else:
            breaker.succeeded()
        OPEN.labels(name).set(breaker.is_open)
        return outcome

    async def close(self) -> None:
        """Close the providers' connections."""
        for provider in self._providers.values():
            await provider.close()


class Engine:
    """The thread with the loop that a process's jobs send on."""

    def __init__(self, make: Callable[[], Sender]) -> None:
        self.pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="push", daemon=True)
        self._thread.start()

        async def build() -> Sender:
            return make()

        self._sender = self._run(build())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(_CALL_TIMEOUT_S)
        except TimeoutError:
            future.cancel()
            raise

    def send(self, items: Sequence[Item]) -> list[Outcome]:
        """Send from a job's thread; see ``Sender.send``."""
        return self._run(self._sender.send(items)) if items else []

    def close(self) -> None:
        """End the thread, its connections closed."""
        self._run(self._sender.close())
        self._run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


_engine: Engine | None = None
_starting = threading.Lock()


def _make() -> Sender:
    config = settings.PUSH
    return Sender(providers.build(config), container.rate_limiter(), rate_per_s=config.rate_per_s)


def engine() -> Engine:
    """Return this process's engine, made at the first call; a forked child makes its own."""
    global _engine
    with _starting:
        if _engine is None or _engine.pid != os.getpid():
            _engine = Engine(_make)
        return _engine


def stop() -> None:
    """End this process's engine, where it has one."""
    global _engine
    with _starting:
        if _engine is not None and _engine.pid == os.getpid():
            _engine.close()
        _engine = None
