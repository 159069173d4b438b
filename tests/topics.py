"""What stands in the log, for tests in which it is worked off by hand."""

from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync

from chatproject import container
from messaging.ports import Record


def unread() -> Callable[[str], list[Record]]:
    """Return a function that returns what has come to a topic since it was asked last."""
    log = container.message_log()
    readers: dict[str, Any] = {}

    async def read(topic: str) -> list[Record]:
        await log.start()
        reader = readers.setdefault(topic, log.reader(topic, group="tests"))
        records: list[Record] = await reader.poll(max_records=500, timeout_s=0)
        return records

    return async_to_sync(read)
