"""Many small questions as one query: for when thousands of sockets come back at once."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from messaging.domain.errors import ChatError, Unavailable
from messaging.threads import DatabaseThreads

logger = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")


class Batcher(Generic[K, V]):
    """Answers ``get(key)``; keys that wait while a query runs share the next one. Used on one event loop.

    ``load`` runs in a database thread and returns, for every key, a value or the ChatError to raise.
    Bounded: past ``max_waiting`` keys, ``get`` raises Unavailable at once.
    """

    def __init__(
        self,
        database: DatabaseThreads,
        load: Callable[[Sequence[K]], Mapping[K, V | ChatError]],
        *,
        max_batch: int = 200,
        max_waiting: int = 20_000,
    ) -> None:
        self._database = database
        self._load = load
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._waiting: dict[K, asyncio.Future[V]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V:
        """Return the key's value.

        Raises:
            ChatError: what ``load`` has for the key; Unavailable where ``load`` failed or too many wait.
        """
        return await self.wait(self.ask(key))

    @staticmethod
    async def wait(answer: "asyncio.Future[V]") -> V:
        """Return what ``ask`` gave, once it has it. Raises what ``get`` does."""
        # Shielded: others may wait for the same answer.
        return await asyncio.shield(answer)

    def ask(self, key: K) -> "asyncio.Future[V]":
        """Return what will hold the key's value or ChatError, for whoever does not wait for it; it is shared.

        Raises:
            Unavailable: too many wait.
        """
        future = self._waiting.get(key)
        if future is None:
            if len(self._waiting) >= self._max_waiting:
                raise Unavailable("too busy", retry_after=1.0)
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
            if self._task is None:
                self._task = asyncio.get_running_loop().create_task(self._run())
        return future

    async def _run(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[: self._max_batch]
                futures = {key: self._waiting.pop(key) for key in keys}
                try:
                    answers = await self._database.run(self._load, keys)
                    found = {key: answers[key] for key in keys}
                except Exception as error:
                    logger.exception("a query for %d keys failed", len(keys))
                    failure = Unavailable("try again", retry_after=1.0)
                    failure.__cause__ = error
                    found = dict.fromkeys(keys, failure)
                for key, future in futures.items():
                    value = found[key]
                    if future.cancelled():
                        continue
                    if isinstance(value, ChatError):
                        future.set_exception(value)
                        # Whoever asked may be gone; that is no error of the loop's.
                        future.exception()
                    else:
                        future.set_result(value)
        finally:
            self._task = None
