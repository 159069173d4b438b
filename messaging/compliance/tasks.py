"""Jobs of compliance. They may run twice, so each is idempotent."""

import asyncio
import time
from typing import Final

from celery import shared_task

from chatproject import container
from messaging.compliance import audit, exports, holds, retention
from messaging.compliance.models import Sweep
from messaging.media import portraits

#: How long one job sweeps; the next goes on. Under the time limit of jobs.
_SWEEP_S: Final = 180.0


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def tell_audit() -> None:
    """Bring what is new in the audit log to the topic ``compliance``, at least once and in order."""
    while told := audit.untold():
        asyncio.run(_tell(told))
        audit.mark_told(told)


async def _tell(told: list[dict[str, object]]) -> None:
    log = container.message_log()
    await log.start()
    await audit.tell(log, told)


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]
def checkpoint_audit() -> None:
    """Sign the newest entry of the audit log."""
    audit.make_checkpoint()


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]
def begin_sweep() -> None:
    """Begin to delete what is over its time, and go on for a while; also pictures of people that only a hold kept."""
    portraits.sweep()
    retention.go_on(retention.begin(), until=time.monotonic() + _SWEEP_S)


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]
def go_on_sweeping() -> None:
    """Go on with a sweep that is under way, after a while or a crash."""
    sweep = Sweep.objects.filter(finished_at=None).order_by("pk").first()
    if sweep is not None:
        retention.go_on(sweep, until=time.monotonic() + _SWEEP_S)
    retention.measure()


@shared_task(ignore_result=True, soft_time_limit=21_000, time_limit=21_600)  # type: ignore[untyped-decorator]
def make_export(export_id: int) -> None:
    """Make the file of an export. Where the queue gives it out again meanwhile, the second finds it taken."""
    exports.make(export_id)


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]
def look_after_exports() -> None:
    """Delete the files of exports that are over, go on with what a worker lost, and count exports and holds."""
    exports.look_after()
    exports.measure()
    holds.measure()
