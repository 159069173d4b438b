"""How tasks are ended whose work goes through other people's clients."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

#: After this long a task that still runs is cancelled once more.
_AGAIN_S: Final = 1.0


async def end(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks, and return once all of them have ended; what they raise is dropped.

    They are cancelled again and again: a client that is cancelled and fails in the same moment, or while it tidies up,
    raises the failure and not the cancellation, and a loop that survives failures goes on.
    """
    ending = list(tasks)
    left = {task for task in ending if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN_S)
    await asyncio.gather(*ending, return_exceptions=True)
