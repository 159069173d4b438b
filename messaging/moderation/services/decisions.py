"""What moderators decide. Each act is in the audit log with its reason, in the same transaction.

A takedown takes effect by a record in the log. The row says first that there is to be one, and then that there is: what
a crash or a log that is away leaves in between, ``place_all`` makes good a minute later, with the same dedupe key.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from asgiref.sync import async_to_sync
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from prometheus_client import Gauge

from accounts.models import User
from accounts.services import suspension
from accounts.services.notices import Words, mail_notice
from chatproject import container
from messaging.compliance import audit
from messaging.compliance.audit import Action
from messaging.domain import ids
from messaging.domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from messaging.domain.events import MessageModerated
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.moderation import evidence
from messaging.moderation.limits import running
from messaging.moderation.models import Case, Sanction, SendLimit, Takedown
from messaging.services.send import append_change

logger = logging.getLogger(__name__)

UNPLACED = Gauge("chat_takedowns_unplaced", "Takedowns, and ends of them, that the log does not have yet.")

_RECORDS: Final = UUID("1e1f2d1c-7a55-4c0c-9a5e-2f1f6b0f4a11")
MAX_TOLD_CHARS: Final = 300
_LONGEST_LIMIT: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a case. ``reason`` is for the staff; ``told`` is what the person concerned is told."""

    outcome: Case.Outcome
    reason: str
    told: str = ""
    until: datetime | None = None


def claim(*, case_id: int, moderator: User, reason: str) -> Case:
    """Let a moderator take a case, and from then on see what was reported, for this reason; who has it keeps it.

    Raises:
        Conflict: it is decided, or somebody else's. InvalidInput: no reason.
    """
    with transaction.atomic():
        case = _open_case(case_id)
        if case.assigned_to_id == moderator.pk:
            return case
        if case.assigned_to_id is not None:
            raise Conflict("somebody else works on this case")
        case.assigned_to, case.taken_for = moderator, reason.strip()
        case.save(update_fields=["assigned_to", "taken_for"])
        _record(Action.REPORT_CLAIMED, moderator, case.subject, reason, str(case))
    return case


def release(*, case_id: int, moderator: User) -> None:
    """Put a case back into the queue. Idempotent."""
    Case.objects.filter(pk=case_id, assigned_to=moderator, state=Case.State.OPEN).update(assigned_to=None, taken_for="")


def view_context(*, case: Case, moderator: User, reason: str = "") -> None:
    """Note in the audit log that the moderator who has the case looks at what was reported.

    ``reason``: without one, that for which the case was taken.
    """
    # What was taken before reasons were asked for has none.
    why = reason or case.taken_for or "taken before the update"
    _record(Action.CONTENT_VIEWED, moderator, case.subject, why, str(case), {"versions": "reported"})


def view_versions(*, case: Case, moderator: User, reason: str) -> list[dict[str, object]]:
    """Return what the message of a case said from the first text on; that it was looked at is in the audit log first.

    Raises:
        InvalidInput: no reason, or the case is not about a message.
    """
    try:
        conversation_id, message_id = case.message
    except ids.InvalidId:
        raise InvalidInput("this case is not about a message") from None
    _record(Action.CONTENT_VIEWED, moderator, case.subject, reason, str(case), {"versions": "all"})
    return evidence.versions(conversation_id, message_id)


def decide(*, case_id: int, moderator: User, decision: Decision) -> Case:
    """Decide a case that the moderator has, and do what follows from it.

    Raises:
        Conflict: it is decided, or not the moderator's. InvalidInput: a reason is missing, or it does not fit the case.
        NotFound: there is no such message any more.
    """
    if not decision.reason.strip():
        raise InvalidInput("a reason is needed")
    with transaction.atomic():
        case = _open_case(case_id)
        if case.assigned_to_id != moderator.pk:
            raise Conflict("take this case before you decide it")
        _act(case, moderator, decision)
        case.state, case.outcome, case.reason = Case.State.DECIDED, decision.outcome, decision.reason.strip()
        case.decided_by, case.decided_at = moderator, timezone.now()
        case.save()
        audit.record(
            Action.REPORT_DECIDED,
            actor=UserId(moderator.pk),
            object=case.subject,
            reason=decision.reason,
            case=str(case),
            details={"outcome": str(decision.outcome)},
        )
        reporters = [report.reporter for report in case.reports.select_related("reporter")]
        transaction.on_commit(lambda: _tell_reporters(reporters, case.outcome))
    return case


def _tell_reporters(reporters: Sequence[User], outcome: str) -> None:
    """Mail those who reported that it was looked at, and whether anything followed; what it was they do not learn."""
    if outcome == Case.Outcome.DISMISSED:
        found = _("Moderators looked at what you reported: it breaks no rule.")
    else:
        found = _("Moderators looked at what you reported, and acted on it.")
    for reporter in reporters:
        _mail(reporter, _("About what you reported"), found)


def _open_case(case_id: int) -> Case:
    case = Case.objects.select_for_update(of=("self",)).filter(pk=case_id).first()
    if case is None:
        raise NotFound("no such case")
    if case.state != Case.State.OPEN:
        raise Conflict("this case is decided already")
    return case


def _act(case: Case, moderator: User, decision: Decision) -> None:
    by, case_ref = moderator, str(case)
    match decision.outcome:
        case Case.Outcome.DISMISSED:
            return
        case Case.Outcome.WITHHELD if case.kind == Case.Kind.MESSAGE:
            take_down(*case.message, moderator=by, reason=decision.reason, told=decision.told, case=case_ref)
        case Case.Outcome.UPHELD if case.kind == Case.Kind.APPEAL:
            return
        case Case.Outcome.RESTORED if case.kind == Case.Kind.APPEAL:
            lift(case.appeal.takedown, moderator=by, reason=decision.reason, case=case_ref)
        case Case.Outcome.WARNED if case.accused is not None and case.kind != Case.Kind.APPEAL:
            warn(case.accused, moderator=by, reason=decision.reason, told=decision.told, case=case_ref)
        case Case.Outcome.SUSPENDED if case.accused is not None and case.kind != Case.Kind.APPEAL:
            suspend(
                case.accused,
                moderator=by,
                reason=decision.reason,
                told=decision.told,
                until=decision.until,
                case=case_ref,
            )
        case _:
            raise InvalidInput("this cannot be decided here")


def _told(text: str) -> str:
    text = text.strip()
    if not text or len(text) > MAX_TOLD_CHARS or "\0" in text:
        raise InvalidInput(f"say in 1 to {MAX_TOLD_CHARS} characters what the person is told")
    return text


# --- messages -------------------------------------------------------------------------------------


def take_down(
    conversation_id: ConversationId, message_id: MessageId, *, moderator: User, reason: str, told: str, case: str = ""
) -> Takedown:
    """Withhold a message from everybody, within seconds also on every device. ``told``: what its author is told.

    Raises:
        NotFound: there is no such message. Conflict: it is withheld already. InvalidInput: a reason is missing.
    """
    told = _told(told)
    message = container.message_store().get([(conversation_id, message_id)]).get((conversation_id, message_id))
    if message is None or message.kind != "text":
        raise NotFound("no such message")
    with transaction.atomic():
        takedown, made = Takedown.objects.get_or_create(
            conversation_id=conversation_id,
            message_id=message_id,
            lifted_at=None,
            defaults={"author_id": message.sender_id, "reason": told},
        )
        if not made:
            raise Conflict("the message is withheld already")
        _record(Action.TAKEDOWN_MADE, moderator, takedown.subject, reason, case)
        transaction.on_commit(lambda: _try_to_place(takedown))
    return takedown


def lift(takedown: Takedown, *, moderator: User, reason: str, case: str = "") -> None:
    """Give a message back to everybody. Raises Conflict: that was done already; InvalidInput: no reason."""
    with transaction.atomic():
        now = timezone.now()
        if not Takedown.objects.filter(pk=takedown.pk, lifted_at=None).update(lifted_at=now):
            raise Conflict("the message is given back already")
        # What was asked for is done, also where nobody had come to the appeal yet.
        Case.objects.filter(appeal__takedown=takedown, state=Case.State.OPEN).update(
            state=Case.State.DECIDED,
            outcome=Case.Outcome.RESTORED,
            reason=reason.strip(),
            decided_by=moderator,
            decided_at=now,
        )
        _record(Action.TAKEDOWN_LIFTED, moderator, takedown.subject, reason, case)
        transaction.on_commit(lambda: _try_to_place(Takedown.objects.get(pk=takedown.pk)))


def _try_to_place(takedown: Takedown) -> None:
    try:
        async_to_sync(_place)(takedown)
    except Unavailable:
        logger.warning("takedown %d waits for the log", takedown.pk)
        return
    _placed(takedown)


async def _place(takedown: Takedown) -> None:
    """Append what the log has to have of a takedown. Raises Unavailable; what is there already is not doubled."""
    log = container.message_log()
    await log.start()
    conversation_id, message_id = takedown.ref
    for on in (True, False):
        if (takedown.placed if on else takedown.lift_placed) or (not on and takedown.lifted_at is None):
            continue
        record_id = uuid5(_RECORDS, f"{takedown.pk} {on}")
        await append_change(
            log=log, conversation=conversation_id, change=MessageModerated(record_id.bytes, message_id, on)
        )


def _placed(takedown: Takedown) -> None:
    Takedown.objects.filter(pk=takedown.pk).update(placed=True, lift_placed=takedown.lifted_at is not None)


def place_all() -> int:
    """Append what the log does not have yet of takedowns; return how many. Idempotent.

    Raises:
        Unavailable: the log is away; those before are placed.
    """
    waiting = list(
        Takedown.objects.filter(placed=False) | Takedown.objects.filter(lift_placed=False).exclude(lifted_at=None)
    )
    UNPLACED.set(len(waiting))
    for takedown in waiting:
        async_to_sync(_place)(takedown)
        _placed(takedown)
    UNPLACED.set(0)
    return len(waiting)


# --- people ---------------------------------------------------------------------------------------


def warn(user: User, *, moderator: User, reason: str, told: str, case: str = "") -> Sanction:
    """Tell a person that something must not happen again: in the settings, and by mail where there is an address."""
    told = _told(told)
    with transaction.atomic():
        sanction = Sanction.objects.create(user=user, kind=Sanction.Kind.WARNING, reason=told)
        _record(Action.USER_WARNED, moderator, ids.user_ref(user.pk), reason, case)
        transaction.on_commit(lambda: _mail(user, _("A warning from the moderators"), told))
    return sanction


def suspend(user: User, *, moderator: User, reason: str, told: str, until: datetime | None, case: str = "") -> Sanction:
    """Keep a person out until a moment, or until ``reinstate``; see ``accounts.services.suspension``.

    Raises:
        InvalidInput: a reason is missing, the end is past, or the person is of the staff.
    """
    told = _told(told)
    if user.is_staff:
        raise InvalidInput("who is of the staff has to lose that first")
    with transaction.atomic():
        sanction = Sanction.objects.create(user=user, kind=Sanction.Kind.SUSPENSION, reason=told, until=until)
        suspension.suspend(user_id=UserId(user.pk), reason=told, until=until)
        details: dict[str, str | int] = {"until": "" if until is None else until.isoformat()}
        _record(Action.USER_SUSPENDED, moderator, ids.user_ref(user.pk), reason, case, details)
        transaction.on_commit(lambda: _mail(user, _("Your account is suspended"), told))
    return sanction


@dataclass(frozen=True, slots=True)
class NewLimit:
    """How little somebody may send: a text each ``interval_s`` seconds, so many new conversations a day, until then."""

    interval_s: int
    conversations_per_day: int
    until: datetime


def limit(user: User, new: NewLimit, *, moderator: User, reason: str, case: str = "") -> SendLimit:
    """Let a person send only a little for a while, in place of a limit there is; in force within seconds everywhere.

    The person is not told of it, and is told of each text that is refused, and when to try again: nothing is
    swallowed. It ends by itself.

    Raises:
        InvalidInput: a reason is missing, the end is past or over a year away, or the person is of the staff.
    """
    now = timezone.now()
    if user.is_staff:
        raise InvalidInput("who is of the staff has to lose that first")
    if not now < new.until <= now + _LONGEST_LIMIT:
        raise InvalidInput("a limit ends within a year, and not before it begins")
    if new.interval_s < 1:
        raise InvalidInput("a limit is at least a second between two messages")
    with transaction.atomic():
        running().filter(user=user).update(lifted_at=now)
        made = SendLimit.objects.create(
            user=user, interval_s=new.interval_s, conversations_per_day=new.conversations_per_day, until=new.until
        )
        details: dict[str, str | int] = {
            "interval_s": new.interval_s,
            "conversations_per_day": new.conversations_per_day,
            "until": new.until.isoformat(),
        }
        _record(Action.USER_LIMITED, moderator, ids.user_ref(user.pk), reason, case, details)
    return made


def lift_limit(made: SendLimit, *, moderator: User, reason: str) -> None:
    """End a limit before its time. Raises Conflict: it is over; InvalidInput: no reason."""
    with transaction.atomic():
        if not running().filter(pk=made.pk).update(lifted_at=timezone.now()):
            raise Conflict("this limit is over")
        _record(Action.USER_LIMIT_LIFTED, moderator, ids.user_ref(made.user_id), reason, "")


def reinstate(user: User, *, moderator: User, reason: str) -> None:
    """End a suspension before its time. Raises Conflict: there is none; InvalidInput: no reason."""
    with transaction.atomic():
        if not User.objects.get(pk=user.pk).is_suspended:
            raise Conflict("this person is not suspended")
        suspension.lift(user_id=UserId(user.pk))
        running = Sanction.objects.filter(user=user, kind=Sanction.Kind.SUSPENSION, lifted_at=None)
        running.update(lifted_at=timezone.now())
        _record(Action.USER_REINSTATED, moderator, ids.user_ref(user.pk), reason, "")


def _record(
    action: Action, moderator: User, subject: str, reason: str, case: str, details: dict[str, str | int] | None = None
) -> None:
    audit.record(action, actor=UserId(moderator.pk), object=subject, reason=reason, case=case, details=details)


def _mail(user: User, subject: Words, told: Words) -> None:
    text = _("%(told)s\n\nMore is in your settings, under Moderation.\n")
    mail_notice(user=user, subject=subject, text=text, told=told)
