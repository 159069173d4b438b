"""Jobs of people's rights. They may run twice, so each is idempotent."""

import time
from typing import Final

from celery import shared_task

from messaging.rights import erasures, exports

#: How long one job erases; the next goes on. Under the time limit of jobs.
_ERASE_S: Final = 180.0


@shared_task(ignore_result=True, soft_time_limit=3_300, time_limit=3_600)  # type: ignore[untyped-decorator]  # Celery has no types
def make_export(export_id: int) -> None:
    """Make the file of an export."""
    exports.make(export_id)


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]
def look_after_exports() -> None:
    """Delete what is over, and queue again what was lost."""
    exports.expire()
    exports.make_lost()
    exports.measure()


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]
def go_on_erasing() -> None:
    """Go on with the accounts that are to be erased."""
    erasures.go_on(until=time.monotonic() + _ERASE_S)
    erasures.measure()
