"""The bounded threads in which database work of the event loop runs.

One call is one crossing: several queries make one function (see docs/architecture.md). Every thread
keeps its own database connection, so the calls do not queue behind each other as they would in
asgiref's one shared thread.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from django.db import connections

P = ParamSpec("P")
T = TypeVar("T")

#: How long a thread that is done waits for the others to be done, too.
_CLOSE_TIMEOUT_S: Final = 10.0


def _keep_usable_connections() -> None:
    """Close connections that broke. Age is no reason: these threads live as long as the process, and
    opening SQLite again for each call was two thirds of the work of an authentication.
    """
    for connection in connections.all(initialized_only=True):
        connection.close_at = None
        connection.close_if_unusable_or_obsolete()


class DatabaseThreads:
    """A bounded pool of threads with database connections."""

    def __init__(self, *, size: int, name: str = "db") -> None:
        self._executor = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._size = size
        self._closed = False

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``function`` returns; it runs in a thread, to its end even if the caller is cancelled."""

        def call() -> T:
            _keep_usable_connections()
            return function(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """Wait for what runs, close the connections of every thread and end the threads; idempotent. Blocks."""
        if self._closed:
            return
        self._closed = True
        # They meet before they leave, so that each thread takes one of these calls and no thread two.
        everybody = threading.Barrier(self._size)
        for _ in range(self._size):
            self._executor.submit(_leave, everybody)
        self._executor.shutdown(wait=True)


def _leave(everybody: threading.Barrier) -> None:
    try:
        everybody.wait(_CLOSE_TIMEOUT_S)
    finally:
        connections.close_all()
