"""Jobs of the search. They may run twice, so each is idempotent."""

import logging
import time

from celery import shared_task
from django.db import InterfaceError, OperationalError
from prometheus_client import Histogram

from messaging.dispatcher import unpack
from messaging.domain import events
from messaging.ports import MessageRef, StoreUnavailable
from messaging.search import indexing

logger = logging.getLogger(__name__)

DELAY = Histogram(
    "chat_search_delay_seconds",
    "From a record of the topic search, which follows a message or a change, to the index having it.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3600),
)


@shared_task(  # type: ignore[untyped-decorator]  # Celery has no types
    ignore_result=True,
    autoretry_for=(StoreUnavailable, OperationalError, InterfaceError),
    retry_backoff=2,
    retry_backoff_max=300,
    # For ever: what was given up would be missing until somebody makes the index anew.
    max_retries=None,
)
def index_messages(batch: object) -> None:
    """Bring the index up to date with the messages that these records of the topic ``search`` name."""
    refs: list[MessageRef] = []
    records = unpack(batch)
    for record in records:
        try:
            refs += events.decode_search(record.payload).messages
        except events.Poison as error:
            logger.error(
                "the record at %s/%s/%s names no messages: %s", record.topic, record.partition, record.offset, error
            )
    indexing.index(refs)
    now = time.time()
    for record in records:
        DELAY.observe(max(0.0, now - record.ts_ms / 1000))
