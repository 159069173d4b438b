"""Copies of one's own data: asked for, made by a job, fetched by nobody else, and gone after a week."""

import hashlib
import logging
import tempfile
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.services.notices import mail_notice
from messaging.compliance import audit
from messaging.compliance.audit import Action
from messaging.compliance.exports import WAIT_AGE
from messaging.domain.errors import Conflict, NotFound, RateLimited
from messaging.domain.ids import UserId, user_ref
from messaging.jobs import queued
from messaging.rights import content
from messaging.rights.models import DataExport, DataExportPart

logger = logging.getLogger(__name__)

KEPT: Final = timedelta(days=7)
#: Between two of one person.
INTERVAL: Final = timedelta(days=1)
#: One that was asked for so long ago, and is not there, was lost with its worker.
_LOST_AFTER: Final = timedelta(minutes=30)
_PART_BYTES: Final = 1 << 20


def request_export(*, user: User) -> DataExport:
    """Have a copy of the user's data made; the user gets a mail when it is there.

    Raises:
        Conflict: one is being made. RateLimited: one was made within a day.
    """
    newest = DataExport.objects.filter(user=user, state=DataExport.State.READY).order_by("-requested_at").first()
    if newest is not None:
        wait_s = (newest.requested_at + INTERVAL - timezone.now()).total_seconds()
        if wait_s > 0:
            raise RateLimited("one copy a day", retry_after=wait_s)
    try:
        with transaction.atomic():
            export = DataExport.objects.create(user=user)
            audit.record(Action.DATA_EXPORT_REQUESTED, actor=UserId(user.pk), object=user_ref(user.pk))
            transaction.on_commit(lambda: _enqueue(export.pk))
    except IntegrityError:
        raise Conflict("a copy is being made already") from None
    return export


def _enqueue(export_id: int) -> None:
    from messaging.rights.tasks import make_export

    if not queued(make_export, export_id):
        # ``make_lost`` comes by.
        logger.warning("export %d waits for the queue", export_id)


def make(export_id: int) -> None:
    """Make the file of an export. Idempotent: one that is made stays so."""
    export = DataExport.objects.select_related("user").filter(pk=export_id, state=DataExport.State.REQUESTED).first()
    if export is None:
        return
    with tempfile.TemporaryFile() as file:
        content.write(export.user, file)
        size = file.tell()
        file.seek(0)
        digest = hashlib.sha256()
        with transaction.atomic():
            # Taken first: of two jobs that made it, one writes.
            now = timezone.now()
            changed = {"state": DataExport.State.READY, "ready_at": now, "expires_at": now + KEPT, "size": size}
            if not DataExport.objects.filter(pk=export_id, state=DataExport.State.REQUESTED).update(**changed):
                return
            number = 0
            while data := file.read(_PART_BYTES):
                digest.update(data)
                DataExportPart.objects.create(export=export, number=number, data=data)
                number += 1
            DataExport.objects.filter(pk=export_id).update(sha256=digest.hexdigest())
            transaction.on_commit(lambda: _tell(export.user))


def _tell(user: User) -> None:
    text = _("You can download the copy of your data from your settings for %(days)s days.\n")
    mail_notice(user=user, subject=_("The copy of your data is ready"), text=text, days=KEPT.days)


def make_lost() -> int:
    """Queue again what was asked for long ago and is not made; return how many."""
    lost = DataExport.objects.filter(
        state=DataExport.State.REQUESTED, requested_at__lt=timezone.now() - _LOST_AFTER
    ).values_list("pk", flat=True)
    for export_id in lost:
        _enqueue(export_id)
    return len(lost)


def expire() -> int:
    """Delete the files of exports whose time is over; return how many."""
    over = DataExport.objects.filter(state=DataExport.State.READY, expires_at__lte=timezone.now())
    expired = list(over.values_list("pk", flat=True))
    with transaction.atomic():
        DataExportPart.objects.filter(export_id__in=expired).delete()
        DataExport.objects.filter(pk__in=expired).update(state=DataExport.State.EXPIRED)
    return len(expired)


def measure() -> None:
    """Set since when the oldest copy is asked for and not made."""
    waiting = DataExport.objects.filter(state=DataExport.State.REQUESTED)
    oldest = waiting.order_by("requested_at").values_list("requested_at", flat=True).first()
    WAIT_AGE.labels("own").set(0 if oldest is None else (timezone.now() - oldest).total_seconds())


def exports_of(user: User) -> list[DataExport]:
    """Return the user's exports, newest first."""
    return list(DataExport.objects.filter(user=user).order_by("-requested_at")[:10])


def file_of(*, user: User, export_id: int) -> tuple[DataExport, AsyncIterator[bytes]]:
    """Return a user's own export that is ready, and its file in pieces.

    Raises:
        NotFound: there is none, it is another's, not made yet, or over: all look alike.
    """
    export = DataExport.objects.filter(
        pk=export_id, user=user, state=DataExport.State.READY, expires_at__gt=timezone.now()
    ).first()
    if export is None:
        raise NotFound("no such export")
    return export, _pieces(export)


async def _pieces(export: DataExport) -> AsyncIterator[bytes]:
    """Yield the file, one part in memory at a time: of a plain iterator Django would take all at once under ASGI."""
    number = 0
    while (part := await DataExportPart.objects.filter(export=export, number=number).afirst()) is not None:
        yield bytes(part.data)
        number += 1
