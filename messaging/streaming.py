"""Gives the event loop what only threads may read."""

import contextlib
from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async


def _next(pieces: Iterator[bytes]) -> bytes:
    return next(pieces, b"")


async def from_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces; each is read in a thread, as files do not read on the loop."""
    try:
        while piece := await sync_to_async(_next, thread_sensitive=False)(pieces):
            yield piece
    finally:
        # A reader that leaves in the middle leaves the file open otherwise. Where a thread reads it at this very
        # moment, that thread is the last to hold it.
        if close := getattr(pieces, "close", None):
            with contextlib.suppress(ValueError):
                close()
