"""Jobs of previews. They may run twice, so each is idempotent."""

import logging

from celery import shared_task
from django.db import InterfaceError, OperationalError

from messaging.dispatcher import unpack
from messaging.domain import events
from messaging.ports import MessageRef, StoreUnavailable
from messaging.previews import services

logger = logging.getLogger(__name__)


@shared_task(  # type: ignore[untyped-decorator]  # Celery has no types
    ignore_result=True,
    autoretry_for=(StoreUnavailable, OperationalError, InterfaceError),
    retry_backoff=2,
    retry_backoff_max=300,
    max_retries=8,
)
def look_at_links(batch: object) -> None:
    """Look at the links of the messages that these records of the topic ``links`` name."""
    refs: list[MessageRef] = []
    for record in unpack(batch):
        try:
            refs += events.decode_links(record.payload).messages
        except events.Poison as error:
            logger.error(
                "the record at %s/%s/%s names no messages: %s", record.topic, record.partition, record.offset, error
            )
    services.look(refs)


@shared_task  # type: ignore[untyped-decorator]
def sweep() -> int:
    """Delete previews that no message shows; return how many went."""
    return services.sweep()
