"""Exports for a case: asked for by an officer, made by a job, downloaded with a reason, and gone after a while.

The file is in the MediaStore under a key that nothing else knows, and is only ever read by ``open_file``. Whoever makes
one says so for some minutes (a claim) and keeps saying it; a worker whose claim is over finds that out before it
changes anything.
"""

import hashlib
import logging
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Final
from uuid import uuid4

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import F, Q
from django.utils import timezone
from prometheus_client import Counter, Gauge

from chatproject import container
from messaging.compliance import discovery
from messaging.compliance.audit import Action, record
from messaging.compliance.models import Export
from messaging.domain import ids
from messaging.domain.errors import Conflict, InvalidInput, NotFound
from messaging.domain.ids import ConversationId, UserId, conversation_ref, user_ref
from messaging.jobs import queued
from messaging.ports import MediaMissing, StoreUnavailable

logger = logging.getLogger(__name__)

ENDED = Counter("chat_exports_total", "Exports for a case that were made, or failed for good.", ["result"])
WAIT_AGE = Gauge(
    "chat_exports_wait_age_seconds",
    "Since when the oldest copy is asked for and not made: of one's own data (own), or for a case.",
    ["kind"],
)

State = Export.State
#: A worker that has not said for so long that it goes on is dead.
_LEASE: Final = timedelta(minutes=5)
#: How often it says so, and learns that the export was cancelled (s).
_SAYS_EVERY_S: Final = 5.0
#: Workers that may die of one export.
MAX_ATTEMPTS: Final = 5
_PIECE_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class NewExport:
    """An export to make: of each conversation named, and each in which a user named is or was."""

    case: str
    reason: str
    users: tuple[UserId, ...] = ()
    conversations: tuple[ConversationId, ...] = ()
    begins_at: datetime | None = None
    ends_at: datetime | None = None


class _Over(Exception):
    """The export was cancelled, or somebody else makes it."""


# --- asking ---------------------------------------------------------------------------------------


def request_export(*, actor: UserId, new: NewExport) -> Export:
    """Have an export made.

    Raises:
        InvalidInput: no case or reason, nothing named, or a time that ends before it begins.
    """
    if not new.case.strip():
        raise InvalidInput("an export needs a case reference")
    if not new.users and not new.conversations:
        raise InvalidInput("an export names users or conversations")
    if new.begins_at is not None and new.ends_at is not None and new.ends_at < new.begins_at:
        raise InvalidInput("the time ends before it begins")
    with transaction.atomic():
        export = Export.objects.create(
            case=new.case.strip(),
            reason=new.reason.strip(),
            users=[user_ref(it) for it in new.users],
            conversations=[conversation_ref(it) for it in new.conversations],
            begins_at=new.begins_at,
            ends_at=new.ends_at,
            requested_by=actor,
        )
        details = {
            "users": export.users,
            "conversations": export.conversations,
            "begins_at": None if new.begins_at is None else new.begins_at.isoformat(),
            "ends_at": None if new.ends_at is None else new.ends_at.isoformat(),
        }
        transaction.on_commit(lambda: _enqueue(export.pk))
        export.audit_seq = _record(Action.EXPORT_REQUESTED, export, actor, new.reason, details)
        export.save(update_fields=["audit_seq"])
    return export


def _record(
    action: Action, export: Export, actor: UserId | None, reason: str = "", details: dict[str, object] | None = None
) -> int:
    return record(
        action, actor=actor, object=f"export/{export.pk}", reason=reason, case=export.case, details=details
    ).seq


def _enqueue(export_id: int) -> None:
    from messaging.compliance.tasks import make_export

    if not queued(make_export, export_id):
        # ``look_after`` comes by.
        logger.warning("export %d waits for the queue", export_id)


# --- making ---------------------------------------------------------------------------------------


def make(export_id: int) -> None:
    """Make the file of an export. Idempotent: one that is made, or that somebody makes, stays as it is."""
    export = _claimed(export_id)
    if export is None:
        return
    try:
        # What a worker that died has left.
        _drop_file(export)
        with tempfile.TemporaryFile() as file:
            counts = discovery.write(_selection(export), file, _Ticker(export))
            _store(export, file, counts)
    except _Over:
        logger.info("export %d is over, or is made by another worker", export_id)
    except (StoreUnavailable, DatabaseError, OSError):
        # Its turn comes again with ``look_after``.
        _fail(export, final=export.attempts >= MAX_ATTEMPTS)
    except Exception:
        _fail(export, final=True)


def _claimed(export_id: int) -> Export | None:
    now, claim = timezone.now(), uuid4().hex
    free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    taken = Export.objects.filter(free, pk=export_id, state__in=[State.REQUESTED, State.MAKING]).update(
        state=State.MAKING, claim=claim, claimed_until=now + _LEASE, attempts=F("attempts") + 1
    )
    return Export.objects.get(pk=export_id) if taken else None


def _selection(export: Export) -> discovery.Selection:
    return discovery.Selection(
        export.case,
        tuple(map(ids.parse_user, export.users)),
        tuple(map(ids.parse_conversation, export.conversations)),
        export.begins_at,
        export.ends_at,
        export.requested_at,
        export.audit_seq,
    )


def _change(export: Export, **fields: object) -> None:
    """Change an export that is still ours to make. Raises _Over."""
    if not Export.objects.filter(pk=export.pk, state=State.MAKING, claim=export.claim).update(**fields):
        raise _Over


class _Ticker:
    """Says how far it is, and that it goes on. Raises _Over."""

    def __init__(self, export: Export) -> None:
        self._export, self._next = export, 0.0

    def __call__(self, counts: discovery.Counts) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _SAYS_EVERY_S
            _change(self._export, claimed_until=timezone.now() + _LEASE, **counts.fields())


def _store(export: Export, file: IO[bytes], counts: discovery.Counts) -> None:
    """Bring the file into the store, and say that it is there. Raises _Over, and leaves nothing then."""
    store, tick = container.media_store(), _Ticker(export)
    size = file.seek(0, 2)
    file.seek(0)
    key = f"exports/{export.pk}/{export.claim}"
    upload = store.begin(key)
    try:
        # Before the first byte is there: whoever comes after a crash knows what to delete.
        _change(export, content_key=key, upload=upload)
        number, digest = 0, hashlib.sha256()
        while data := file.read(store.part_bytes):
            number += 1
            digest.update(data)
            store.put_part(key, upload, number, data)
            tick(counts)
        store.finish(key, upload)
        with transaction.atomic():
            now = timezone.now()
            made = {"size": size, "sha256": digest.hexdigest(), **counts.fields()}
            times = {"ready_at": now, "expires_at": now + settings.EXPORT_KEPT, "claimed_until": None}
            _change(export, state=State.READY, upload="", error="", **made, **times)
            _record(Action.EXPORT_MADE, export, None, details=dict(made))
        ENDED.labels("made").inc()
    except _Over:
        store.abort(key, upload)
        store.delete([key])
        raise


def _fail(export: Export, *, final: bool) -> None:
    """Note that it failed, and where to look for why: an error may say more than the page is to show."""
    incident = uuid4().hex[:8]
    logger.exception("export %d failed, incident %s", export.pk, incident)
    said = f"It failed; the worker's log has incident {incident}." + ("" if final else " It is tried again.")
    state = State.FAILED if final else State.MAKING
    mine = Export.objects.filter(pk=export.pk, state=State.MAKING, claim=export.claim)
    if mine.update(state=state, error=said, claimed_until=None) and final:
        ENDED.labels("failed").inc()


# --- using and ending -----------------------------------------------------------------------------


def open_file(*, actor: UserId, export_id: int, reason: str) -> tuple[Export, Iterator[bytes]]:
    """Return an export and its file in pieces; that it was given out is in the audit log first.

    Raises:
        NotFound: it is not ready, its time is over, or the file is lost. InvalidInput: no reason.
    """
    with transaction.atomic():
        export = Export.objects.filter(pk=export_id, state=State.READY, expires_at__gt=timezone.now()).first()
        if export is None:
            raise NotFound("there is no file")
        try:
            pieces = container.media_store().read(export.content_key)
        except MediaMissing:
            raise NotFound("the file is lost; make another export") from None
        _record(Action.EXPORT_DOWNLOADED, export, actor, reason, {"sha256": export.sha256})
    return export, pieces


def end(*, actor: UserId, export_id: int, reason: str) -> None:
    """Cancel an export that is not made yet, or delete the file of one that is.

    Raises:
        Conflict: it has ended. InvalidInput: no reason.
    """
    with transaction.atomic():
        export = Export.objects.select_for_update().filter(pk=export_id).first()
        if export is None or export.state not in (State.REQUESTED, State.MAKING, State.READY):
            raise Conflict("this export has ended")
        made = export.state == State.READY
        export.state = State.DELETED if made else State.CANCELLED
        export.save(update_fields=["state"])
        _record(Action.EXPORT_DELETED if made else Action.EXPORT_CANCELLED, export, actor, reason)
    if made:
        _drop_quietly(export)


def _drop_file(export: Export) -> None:
    """Delete what is in the store of an export. Raises MediaUnavailable."""
    if not export.content_key:
        return
    store = container.media_store()
    if export.upload:
        store.abort(export.content_key, export.upload)
    store.delete([export.content_key])
    Export.objects.filter(pk=export.pk, content_key=export.content_key).update(content_key="", upload="")


def _drop_quietly(export: Export) -> None:
    try:
        _drop_file(export)
    except StoreUnavailable:
        logger.warning("the file of export %d could not be deleted; it will be", export.pk)


def look_after() -> None:
    """Delete the files of exports that are over, and queue again what nobody makes. Idempotent."""
    now = timezone.now()
    for export in Export.objects.filter(state=State.READY, expires_at__lte=now):
        with transaction.atomic():
            if Export.objects.filter(pk=export.pk, state=State.READY).update(state=State.DELETED):
                _record(Action.EXPORT_DELETED, export, None, "its time is over")
    # Of those that ended while they were made, once no worker can be at it any more.
    free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    ended = [State.DELETED, State.CANCELLED, State.FAILED]
    for export in Export.objects.filter(free, state__in=ended).exclude(content_key=""):
        _drop_quietly(export)
    waiting = Export.objects.filter(free, state__in=[State.REQUESTED, State.MAKING])
    given_up = waiting.filter(attempts__gte=MAX_ATTEMPTS)
    ENDED.labels("failed").inc(
        given_up.update(state=State.FAILED, error="Workers that made it ended before it was made.")
    )
    lost = waiting.filter(Q(state=State.MAKING) | Q(requested_at__lt=now - _LEASE))
    for export_id in lost.values_list("pk", flat=True):
        _enqueue(export_id)


def measure() -> None:
    """Set since when the oldest export is asked for and not made."""
    waiting = Export.objects.filter(state__in=[State.REQUESTED, State.MAKING])
    oldest = waiting.order_by("requested_at").values_list("requested_at", flat=True).first()
    WAIT_AGE.labels("case").set(0 if oldest is None else (timezone.now() - oldest).total_seconds())
