"""The audit log: every act of the staff, and what the system does of its own accord with what people wrote.

``record`` is called inside the transaction of the act: both are there, or neither. Where the act is one on Cassandra,
which shares no transaction, the entry is written before it, so that nothing happens that the log does not tell.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from django.conf import settings
from django.db import connections, transaction
from django.utils import timezone
from prometheus_client import Counter, Gauge

from messaging.compliance import chain, guards, signing
from messaging.compliance.locks import AUDIT, hold_lock
from messaging.compliance.models import AuditCheckpoint, AuditEntry, AuditOutlet
from messaging.domain.errors import InvalidInput
from messaging.domain.ids import UserId, user_ref
from messaging.ports import TOPIC_COMPLIANCE, MessageLog, NewRecord

logger = logging.getLogger(__name__)

ENTRIES = Counter("chat_audit_entries_total", "Entries written to the audit log.")
UNSIGNED_AGE = Gauge("chat_audit_unsigned_age_seconds", "Age of the oldest entry that no checkpoint attests.")
UNTOLD = Gauge("chat_audit_untold", "Entries of the audit log that the topic compliance has yet to get.")

SYSTEM: Final = "system"
MAX_REASON_CHARS: Final = 2_000
_PAGE: Final = 1_000
#: All entries have one key on the topic, and so one order.
_KEY: Final = b"audit"


class Action(StrEnum):
    """What can be done. Add one for each new act; what is here never changes its meaning, since old entries have it."""

    # Reading what is private: what was reported or ever said, who is in a conversation, whom somebody blocked.
    CONTENT_VIEWED = "content.viewed"
    AUDIT_EXPORTED = "audit.exported"
    # Legal hold.
    HOLD_PLACED = "hold.placed"
    HOLD_RELEASE_REQUESTED = "hold.release_requested"
    HOLD_RELEASE_REFUSED = "hold.release_refused"
    HOLD_RELEASED = "hold.released"
    # Retention.
    POLICY_CREATED = "policy.created"
    POLICY_CHANGED = "policy.changed"
    POLICY_DELETED = "policy.deleted"
    JURISDICTION_SET = "jurisdiction.set"
    JURISDICTION_DELETED = "jurisdiction.deleted"
    RETENTION_SWEPT = "retention.swept"
    RETENTION_FAILED = "retention.failed"
    # E-discovery.
    EXPORT_REQUESTED = "export.requested"
    EXPORT_MADE = "export.made"
    EXPORT_CANCELLED = "export.cancelled"
    EXPORT_DOWNLOADED = "export.downloaded"
    EXPORT_DELETED = "export.deleted"
    # Reports and what follows from them.
    REPORT_CLAIMED = "report.claimed"
    REPORT_DECIDED = "report.decided"
    TAKEDOWN_MADE = "takedown.made"
    TAKEDOWN_LIFTED = "takedown.lifted"
    USER_WARNED = "user.warned"
    USER_SUSPENDED = "user.suspended"
    USER_LIMITED = "user.limited"
    USER_LIMIT_LIFTED = "user.limit_lifted"
    USER_REINSTATED = "user.reinstated"
    FILTER_CHANGED = "filter.changed"
    # What operators do with single conversations.
    CONVERSATION_SPREAD = "conversation.spread"
    # What a person asks for themselves.
    DATA_EXPORT_REQUESTED = "data_export.requested"
    ERASURE_REQUESTED = "erasure.requested"
    ERASURE_CANCELLED = "erasure.cancelled"
    # By the staff, of somebody's account.
    ERASURE_ORDERED = "erasure.ordered"
    ERASURE_BEGUN = "erasure.begun"
    ERASURE_HELD = "erasure.held"
    ERASURE_DONE = "erasure.done"
    # By the staff, of single accounts and what belongs to them.
    USER_CREATED = "user.created"
    USER_CHANGED = "user.changed"
    PASSWORD_CHANGED = "user.password_changed"  # noqa: S105  # an act
    DEVICE_SIGNED_OUT = "device.signed_out"
    BOT_ENDED = "bot.ended"
    FACTOR_REMOVED = "second_factor.removed"
    SUBSCRIPTION_DELETED = "push_subscription.deleted"
    # The staff themselves, and what a group of them may do.
    ROLE_CHANGED = "role.changed"


#: What people do with what is their own, and may do without saying why.
_OWN: Final = frozenset({Action.DATA_EXPORT_REQUESTED, Action.ERASURE_REQUESTED, Action.ERASURE_CANCELLED})


def record(
    action: Action,
    *,
    actor: UserId | None,
    object: str,
    reason: str = "",
    case: str = "",
    details: Mapping[str, Any] | None = None,
    using: str = "default",
) -> AuditEntry:
    """Append an entry to the chain, in the caller's transaction, and return it.

    ``actor``: None for the system itself. ``object``: what it was done to, by its id on the wire (``m_…``, ``c_…``,
    ``u_…``), or ``hold/12`` and the like for what has none. ``reason``: why; a person of the staff has to give one.
    ``details``: what else is to be known: text, whole numbers, lists and mappings of these; never anything that
    somebody wrote in a chat, and no names of people.

    Entries wait for each other from here to the end of the transaction, so call it last.

    Raises:
        InvalidInput: no reason where one is needed, or a text that is too long or cannot be stored.
        ValueError: the details cannot be written down.
    """
    reason, case = reason.strip(), case.strip()
    if actor is not None and action not in _OWN and not reason:
        raise InvalidInput("a reason is needed")
    if len(reason) > MAX_REASON_CHARS:
        raise InvalidInput(f"the reason is over {MAX_REASON_CHARS} characters")
    if len(case) > 120:
        raise InvalidInput("the case reference is over 120 characters")
    if "\0" in reason + case:
        raise InvalidInput("the reason or the case reference has a character that cannot be stored")
    details = dict(details or {})
    for value in (object, reason, case, details):
        chain.check_plain(value)
    with transaction.atomic(using=using):
        hold_lock(AUDIT, using=using)
        last = AuditEntry.objects.using(using).order_by("-seq").first()
        now = timezone.now()
        entry = chain.Entry(
            seq=1 if last is None else last.seq + 1,
            # A clock that was set back does not turn the order round.
            at=now if last is None else max(now, last.at),
            actor=SYSTEM if actor is None else user_ref(actor),
            action=action.value,
            object=object,
            reason=reason,
            case=case,
            details=details,
            prev_hash=chain.GENESIS if last is None else last.hash,
        )
        row = AuditEntry(
            seq=entry.seq,
            at=entry.at,
            actor=entry.actor,
            action=entry.action,
            object=entry.object,
            reason=entry.reason,
            case=entry.case,
            details=details,
            prev_hash=entry.prev_hash,
            hash=chain.digest(entry.fields()),
        )
        row.save(using=using, force_insert=True)
    ENTRIES.inc()
    return row


# --- checkpoints ----------------------------------------------------------------------------------


def make_checkpoint() -> AuditCheckpoint | None:
    """Sign the newest entry, and return the checkpoint; None where it has one, or nothing or no key is there.

    May run twice at once: there is one checkpoint for an entry. Measures what is not attested.
    """
    key: str = settings.AUDIT_KEY
    made = None
    with transaction.atomic():
        hold_lock(AUDIT)
        newest = AuditEntry.objects.order_by("-seq").first()
        attested = AuditCheckpoint.objects.order_by("-seq").first()
        attested_seq = 0 if attested is None else attested.seq
        if key and newest is not None and newest.seq > attested_seq:
            checkpoint = chain.Checkpoint(
                newest.seq, newest.hash, timezone.now(), signing.key_id(signing.public_key(key))
            )
            made = AuditCheckpoint.objects.create(
                seq=checkpoint.seq,
                entry_hash=checkpoint.entry_hash,
                at=checkpoint.at,
                key=checkpoint.key,
                signature=signing.sign(key, chain.canonical(checkpoint.fields())),
            )
            attested_seq = made.seq
    oldest = AuditEntry.objects.filter(seq__gt=attested_seq).order_by("seq").first()
    UNSIGNED_AGE.set(0 if oldest is None else max(0.0, (timezone.now() - oldest.at).total_seconds()))
    return made


# --- reading --------------------------------------------------------------------------------------


def lines(*, since: int = 1, using: str = "default") -> Iterator[dict[str, object]]:
    """Yield entries from number ``since`` on as lines of an export, each checkpoint after its entry.

    Last come checkpoints of entries that are not there, which should not be.
    """
    checkpoints = _all(AuditCheckpoint.objects.using(using).filter(seq__gte=since))
    waiting = next(checkpoints, None)
    for entry in _all(AuditEntry.objects.using(using).filter(seq__gte=since)):
        while waiting is not None and waiting.seq < entry.seq:
            yield waiting.line()
            waiting = next(checkpoints, None)
        yield entry.line()
        if waiting is not None and waiting.seq == entry.seq:
            yield waiting.line()
            waiting = next(checkpoints, None)
    while waiting is not None:
        yield waiting.line()
        waiting = next(checkpoints, None)


def _all(rows: Any) -> Iterator[Any]:
    """Yield rows by number, a page at a time: a cursor of the database would hold a transaction open."""
    rows, after = rows.order_by("seq"), 0
    while page := list(rows.filter(seq__gt=after)[:_PAGE]):
        yield from page
        after = page[-1].seq


def verify(*, keys: Sequence[str], using: str = "default") -> chain.Verifier:
    """Read the whole log in the database and return what was found, missing triggers too."""
    verifier = chain.Verifier(keys)
    for line in lines(using=using):
        verifier.read(line)
    verifier.problems += [f"the trigger {name} is missing" for name in guards.missing(connections[using])]
    return verifier


# --- the topic ------------------------------------------------------------------------------------


async def tell(log: MessageLog, told: Sequence[Mapping[str, object]]) -> None:
    """Append lines to the topic ``compliance``, in their order. Raises LogUnavailable."""
    waiting = [
        log.append(
            NewRecord(
                TOPIC_COMPLIANCE,
                _KEY,
                chain.canonical(line),
                dedup_key=f"audit/{line['type']}/{line['seq']}".encode(),
            )
        )
        for line in told
    ]
    for position in waiting:
        await position


def untold() -> list[dict[str, object]]:
    """Return the next lines that the topic ``compliance`` has yet to get, at most a thousand of each kind."""
    outlet = AuditOutlet.objects.first() or AuditOutlet()
    entries = AuditEntry.objects.filter(seq__gt=outlet.seq).order_by("seq")
    UNTOLD.set(entries.count())
    checkpoints = AuditCheckpoint.objects.filter(seq__gt=outlet.checkpoint_seq).order_by("seq")
    return [row.line() for rows in (entries, checkpoints) for row in rows[:_PAGE]]


def mark_told(told: Sequence[Mapping[str, object]]) -> None:
    """Remember that the topic has these lines. Never goes back, also where two tell at once."""
    for kind, field in (("entry", "seq"), ("checkpoint", "checkpoint_seq")):
        numbers = [int(str(line["seq"])) for line in told if line["type"] == kind]
        if numbers:
            AuditOutlet.objects.get_or_create(id=1)
            AuditOutlet.objects.filter(id=1, **{f"{field}__lt": max(numbers)}).update(**{field: max(numbers)})
