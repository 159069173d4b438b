"""Jobs of the chat itself. They may run twice, so each is idempotent."""

import asyncio
import time
from datetime import timedelta

from celery import shared_task
from django.conf import settings

from chatproject import container


@shared_task  # type: ignore[untyped-decorator]  # Celery has no types
def trim_log() -> int:
    """Delete records and dedupe keys older than CHAT_LOG_RETENTION_DAYS from the log; return how many records."""
    horizon_ms = int((time.time() - timedelta(days=settings.LOG_RETENTION_DAYS).total_seconds()) * 1000)

    async def trim() -> int:
        log = container.message_log()
        await log.start()
        return await log.trim(before_ms=horizon_ms)

    return asyncio.run(trim())
