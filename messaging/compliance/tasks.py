"""Jobs of compliance. They may run twice, so each is idempotent."""

import asyncio

from celery import shared_task

from chatproject import container
from messaging.compliance import audit


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
