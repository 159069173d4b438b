"""The erasure of an account: asked for, to be taken back for a while, then done by a job (docs/decisions/0055).

In each conversation in which the person ever was, their messages are deleted for everyone, through the log, and then
what they said is taken out of the store. What a hold covers, or a law wants kept, is hidden all the same, and stays in
the store until that is over; nobody but the staff can tell the difference. Everything may be done again: a job that
died goes on where it was.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Count, F
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_lazy
from prometheus_client import Counter, Gauge

from accounts.language import speaking_to
from accounts.models import User
from accounts.services import closing
from accounts.services.devices import revoke_others
from accounts.services.notices import mail_notice
from accounts.services.proof import prove
from chatproject import container
from messaging.compliance import audit, holds
from messaging.compliance.audit import Action
from messaging.compliance.retention import Rules
from messaging.domain import ids
from messaging.domain.errors import Conflict, Forbidden, NotFound, Unavailable
from messaging.domain.events import MessageChanged
from messaging.domain.ids import ConversationId, MessageId, UserId, user_ref
from messaging.domain.messages import ConversationType, DedupeKey, Membership, StoredMessage
from messaging.invites.services import forget_requests
from messaging.jobs import queued
from messaging.media.portraits import forget_portraits
from messaging.media.services import delete_unused_of, release
from messaging.ports import LogUnavailable, StoreUnavailable
from messaging.rights.models import DataExport, Erasure, ErasureRest
from messaging.services.conversations import remove_member
from messaging.services.send import append_change
from messaging.unsent.scheduling import forget_scheduled, hold_back
from messaging.unsent.services import forget_drafts
from push.services import forget_settings

logger = logging.getLogger(__name__)

ENDED = Counter(
    "chat_erasures_total",
    "Steps of erasures that ended one, could not do all of it because something is held, or failed.",
    ["result"],
)
WAITING = Gauge("chat_erasures_waiting", "Accounts that are to be erased, by how far that is.", ["state"])
DUE_AGE = Gauge("chat_erasures_due_age_seconds", "Since when the oldest erasure is due, of those that nothing holds.")

#: Messages of one step, which holds a lock that others wait for; and records that are on their way at once.
STEP: Final = 200
_PLACES: Final = 50
#: From the closing of the account on, so long nothing is looked at: what was sent before may be in the log only.
SETTLE: Final = timedelta(minutes=2)
#: Whoever is at one says for so long that nobody else is.
_LEASE: Final = timedelta(minutes=10)
#: How often it is looked whether a hold is over.
_HELD_AGAIN: Final = timedelta(hours=1)
#: A step that failed is tried again after this.
_TRY_AGAIN: Final = timedelta(minutes=5)
#: In these states an account is not to be erased once more.
_BEGUN: Final = (*Erasure.OPEN, Erasure.State.DONE)
_DELETIONS: Final = UUID("9a0c5a3c-5b5e-4b0e-8d55-5b7c2f1d7c11")


# --- asked for, and taken back --------------------------------------------------------------------


def request(*, user: User, password: str, code: str = "") -> Erasure:
    """Have the account erased after CHAT_ERASURE_GRACE_DAYS, and sign out everywhere; signing in takes it back.

    Raises:
        InvalidInput: the password is wrong. Unauthenticated: the code of the second factor is missing or wrong.
        Forbidden: the user is of the staff, or has no password. Conflict: it is asked for already.
    """
    prove(user=user, password=password, code=code)
    return request_confirmed(user=user)


def request_confirmed(*, user: User) -> Erasure:
    """As ``request``, for somebody who has just given password and code. Raises Forbidden, Conflict."""
    due_at = timezone.now() + timedelta(days=settings.ERASURE_GRACE_DAYS)
    with transaction.atomic():
        erasure = _begin(user, asked_by=None, due_at=due_at)
        revoke_others(user=user, keep=None)
        # Who wants all deleted that they wrote does not want to say more meanwhile.
        hold_back(UserId(user.pk), "the deletion of your account was asked for before its time")
        transaction.on_commit(lambda: _announce(user, due_at))
        details = {"due_at": due_at.isoformat()}
        audit.record(Action.ERASURE_REQUESTED, actor=UserId(user.pk), object=user_ref(user.pk), details=details)
    return erasure


def _announce(user: User, due_at: datetime) -> None:
    with speaking_to(user):
        day = date_format(due_at, gettext("j F Y"))
    text = gettext_lazy("Your account will be deleted on %(day)s. If you sign in before that, it is kept.\n")
    mail_notice(user=user, subject=gettext_lazy("Your account will be deleted"), text=text, day=day)


def order(*, user: User, actor: UserId, reason: str, case: str = "") -> Erasure:
    """Have somebody's account erased now: what the staff does in place of deleting it.

    Raises:
        Conflict: a hold names the person, or it is asked for already. Forbidden: the person is of the staff.
        InvalidInput: no reason.
    """
    with holds.deleting(users=[UserId(user.pk)]) as (_, held):
        if held:
            raise Conflict("a legal hold is on this person: nothing of theirs may be deleted until it is released")
        erasure = _begin(user, asked_by=actor, due_at=timezone.now())
        transaction.on_commit(_enqueue)
        audit.record(Action.ERASURE_ORDERED, actor=actor, object=user_ref(user.pk), reason=reason, case=case)
    return erasure


def _enqueue() -> None:
    from messaging.rights.tasks import go_on_erasing

    # Where the queue is away the clock comes by.
    queued(go_on_erasing)


def _begin(user: User, *, asked_by: UserId | None, due_at: datetime) -> Erasure:
    if user.is_staff or user.is_superuser:
        raise Forbidden("who is of the staff has to lose that first")
    if user.closed_at is not None:
        raise Conflict("the account is closed already")
    try:
        with transaction.atomic():
            return Erasure.objects.create(user=user, asked_by=asked_by, due_at=due_at, next_at=due_at)
    except IntegrityError:
        raise Conflict("the deletion of this account is asked for already") from None


def cancel(*, user: User) -> bool:
    """Keep the account: its owner has signed in. Return whether it was to be erased. What the staff ordered stays."""
    with transaction.atomic():
        mine = Erasure.objects.filter(user=user, state=Erasure.State.ASKED, asked_by=None)
        if not mine.update(state=Erasure.State.CANCELLED, done_at=timezone.now()):
            return False
        audit.record(Action.ERASURE_CANCELLED, actor=UserId(user.pk), object=user_ref(user.pk))
    return True


# --- done -----------------------------------------------------------------------------------------


def go_on(*, until: float) -> int:
    """Go on with those that are due, up to the monotonic time ``until``; return how many were looked at.

    What fails is tried again some minutes later.
    """
    seen = 0
    due = Erasure.objects.filter(state__in=Erasure.OPEN, next_at__lte=timezone.now())
    for pk in list(due.order_by("next_at").values_list("pk", flat=True)):
        if time.monotonic() >= until:
            break
        if not due.filter(pk=pk).update(next_at=timezone.now() + _LEASE):
            continue
        seen += 1
        erasure = Erasure.objects.select_related("user").get(pk=pk)
        try:
            _Erasing(erasure, until).go_on()
        except (Unavailable, LogUnavailable, StoreUnavailable, DatabaseError, OSError):
            logger.warning("erasure %d could not go on, and is tried again", pk, exc_info=True)
            ENDED.labels("failed").inc()
            Erasure.objects.filter(pk=pk).update(next_at=timezone.now() + _TRY_AGAIN)
    return seen


def measure() -> None:
    """Set how many accounts are to be erased, and since when the oldest is due that no hold and no law keeps."""
    waiting = Erasure.objects.filter(state__in=Erasure.OPEN).values_list("state").annotate(Count("pk"))
    found: dict[str, int] = dict(waiting)
    for state in Erasure.OPEN:
        WAITING.labels(state.value).set(found.get(state.value, 0))
    now = timezone.now()
    due = Erasure.objects.filter(state__in=[Erasure.State.ASKED, Erasure.State.ERASING], due_at__lt=now)
    oldest = due.order_by("due_at").values_list("due_at", flat=True).first()
    DUE_AGE.set(0 if oldest is None else (now - oldest).total_seconds())


@dataclass(frozen=True, slots=True)
class _Step:
    """What became of a page of messages: how many were emptied, and the first that is held."""

    emptied: int
    held: MessageId | None


def _is_kept(message: StoredMessage, held: holds.Held) -> bool:
    """Return whether a message is held, or anything in the time in which it was edited: the edits may be."""
    last = message.edit_id or message.message_id
    return any(begin <= last and message.message_id <= end for begin, end in held.ranges)


class _Erasing:
    """One erasure, as far as it comes."""

    def __init__(self, erasure: Erasure, until: float) -> None:
        self._it, self._until = erasure, until
        self._user = UserId(erasure.user_id)
        self._rules = Rules()

    def go_on(self) -> None:
        """Do what is next, until it is done, has to wait, or the time is over."""
        if self._it.state == Erasure.State.ASKED:
            self._close()
            return
        if not self._walk() or not self._rests():
            self._look_again(timedelta(0))
        elif self._it.rests.exists() or not self._finish():
            self._wait()

    def _look_again(self, after: timedelta) -> None:
        Erasure.objects.filter(pk=self._it.pk).update(next_at=timezone.now() + after)

    def _close(self) -> None:
        with transaction.atomic():
            now = timezone.now()
            asked = Erasure.objects.filter(pk=self._it.pk, state=Erasure.State.ASKED)
            # Its owner may have signed in just now.
            if not asked.update(state=Erasure.State.ERASING, closed_at=now, next_at=now + SETTLE):
                return
            closing.close(self._it.user)
            # What their programs wrote is theirs as well.
            for bot in User.objects.filter(bot__owner=self._it.user).exclude(erasures__state__in=_BEGUN):
                Erasure.objects.create(user=bot, asked_by=self._it.asked_by, due_at=now, next_at=now)
                closing.close(bot)
            audit.record(Action.ERASURE_BEGUN, actor=None, object=user_ref(self._user))

    # --- conversations ---

    def _walk(self) -> bool:
        """Go through the conversations; return whether all are done."""
        while not self._it.walked:
            page = container.conversation_store().places(
                self._user, after=ConversationId(self._it.after), limit=_PLACES
            )
            for place in page:
                if not self._through(place.conversation_id):
                    return False
                self._leave(place)
                self._it.after, self._it.message_after = place.conversation_id, 0
                self._it.conversations += 1
                self._it.save(update_fields=["after", "message_after", "conversations"])
            if not page:
                self._it.walked = True
                self._it.save(update_fields=["walked"])
        return True

    def _through(self, conversation: ConversationId) -> bool:
        """Empty what the person wrote in a conversation, from where it was; return False where the time is over."""
        store = container.message_store()
        while page := store.oldest_after(conversation, after=MessageId(self._it.message_after), limit=STEP):
            if time.monotonic() >= self._until:
                return False
            self._hide(conversation, page)
            last = page[-1].message_id
            with holds.deleting([conversation]) as (held, _):
                done = self._empty(conversation, page, self._kept(conversation, held[conversation]))
                if done.held is not None:
                    ErasureRest.objects.get_or_create(
                        erasure=self._it, conversation_id=conversation, defaults={"message_id": done.held}
                    )
                Erasure.objects.filter(pk=self._it.pk).update(
                    message_after=last, messages=F("messages") + done.emptied, next_at=timezone.now() + _LEASE
                )
            self._it.message_after = last
        return True

    def _kept(self, conversation: ConversationId, held: holds.Held) -> holds.Held:
        """Return what is held, or has to be kept because a law says so (``RetentionPolicy.min_days``)."""
        found = container.conversation_store().get([conversation]).get(conversation)
        duty = () if found is None else self._rules.kept(found, now=timezone.now())
        return holds.Held((*held.ranges, *duty))

    def _mine(self, page: Sequence[StoredMessage]) -> list[StoredMessage]:
        return [it for it in page if it.sender_id == self._user and it.kind == "text"]

    def _hide(self, conversation: ConversationId, page: Sequence[StoredMessage]) -> None:
        """Delete for everyone what is not deleted yet: every device drops it, one that is off when it comes back."""
        shown = [it.message_id for it in self._mine(page) if it.delete_id is None]
        if shown:
            async_to_sync(_delete)(conversation, self._user, shown)

    def _empty(self, conversation: ConversationId, page: Sequence[StoredMessage], held: holds.Held) -> _Step:
        """Take out of the store what the person's messages say, and their media, but for what is held."""
        mine = [it for it in self._mine(page) if it.body or it.edited_body or it.media or it.mentions]
        kept = [it.message_id for it in mine if _is_kept(it, held)]
        going = [it for it in mine if it.message_id not in kept]
        release([DedupeKey(conversation, it.sender_id, it.client_msg_id) for it in going if it.media])
        if going:
            container.message_store().blank(conversation, [it.message_id for it in going])
        return _Step(len(going), min(kept, default=None))

    def _leave(self, place: Membership) -> None:
        """Leave a group: nobody is there any more. Whoever is oldest there becomes its owner, if that is needed."""
        if not place.active:
            return
        conversation = container.conversation_store().get([place.conversation_id]).get(place.conversation_id)
        if conversation is not None and conversation.type is not ConversationType.DM:
            # Not found: done before a crash.
            with contextlib.suppress(NotFound):
                remove_member(actor=self._user, conversation_id=place.conversation_id, user=self._user)

    # --- what was held ---

    def _rests(self) -> bool:
        """Go through what was held, where something else is by now; return False where the time is over."""
        for rest in list(self._it.rests.order_by("pk")):
            while self._rest(rest):
                if time.monotonic() >= self._until:
                    return False
        return True

    def _rest(self, rest: ErasureRest) -> bool:
        """Empty a page of what was held, of what is not any more; return whether there is more to look at."""
        conversation = ConversationId(rest.conversation_id)
        with holds.deleting([conversation]) as (all_held, _):
            held = self._kept(conversation, all_held[conversation])
            ranges = [list(span) for span in held.ranges]
            if rest.ranges != ranges:
                # Holds have come or gone: from the first that was held.
                rest.ranges, rest.at, rest.looked = ranges, rest.message_id, False
            elif rest.looked:
                return False
            after = MessageId(rest.at - 1)
            page = container.message_store().oldest_after(conversation, after=after, limit=STEP)
            done = self._empty(conversation, page, held)
            self._it.rests.filter(pk=rest.pk, still=None).update(still=done.held)
            if page:
                rest.at = page[-1].message_id + 1
                rest.save(update_fields=["ranges", "at", "looked"])
            else:
                self._looked_through(rest)
            Erasure.objects.filter(pk=self._it.pk).update(messages=F("messages") + done.emptied)
        return bool(page)

    def _looked_through(self, rest: ErasureRest) -> None:
        """Note what is still held of a conversation; nothing is: it is done."""
        rest.refresh_from_db(fields=["still"])
        if rest.still is None:
            rest.delete()
            return
        rest.message_id, rest.still, rest.looked = rest.still, None, True
        rest.save()

    # --- the account ---

    def _finish(self) -> bool:
        """Empty the account; return False where a hold is on it."""
        told = User(email=self._it.user.email, language=self._it.user.language)
        with holds.deleting(users=[self._user]) as (_, held):
            if held:
                return False
            forget_portraits(self._user)
            delete_unused_of(self._user)
            DataExport.objects.filter(user_id=self._user).delete()
            forget_settings(self._user)
            forget_drafts(self._user)
            forget_scheduled(self._user)
            forget_requests(self._user)
            closing.empty(self._it.user)
            self._it.refresh_from_db(fields=["messages"])
            self._it.state, self._it.done_at = Erasure.State.DONE, timezone.now()
            self._it.save(update_fields=["state", "done_at"])
            text = gettext_lazy("Your account is deleted, with all that you wrote. Thank you for having been here.\n")
            subject = gettext_lazy("Your account is deleted")
            transaction.on_commit(lambda: mail_notice(user=told, subject=subject, text=text))
            details = {"conversations": self._it.conversations, "messages": self._it.messages}
            audit.record(Action.ERASURE_DONE, actor=None, object=user_ref(self._user), details=details)
        ENDED.labels("done").inc()
        return True

    def _wait(self) -> None:
        """Look again later: something is held. The person is told that it takes longer, and no more than that."""
        with transaction.atomic():
            if not self._it.told:
                text = gettext_lazy(
                    "Your account is closed. Deleting it takes longer than usual; a mail says when it is done.\n"
                )
                subject = gettext_lazy("The deletion of your account takes longer")
                user = self._it.user
                transaction.on_commit(lambda: mail_notice(user=user, subject=subject, text=text))
                audit.record(Action.ERASURE_HELD, actor=None, object=user_ref(self._user))
            Erasure.objects.filter(pk=self._it.pk).update(
                state=Erasure.State.HELD, told=True, next_at=timezone.now() + _HELD_AGAIN
            )
        ENDED.labels("held").inc()


async def _delete(conversation: ConversationId, author: UserId, messages: Sequence[MessageId]) -> None:
    """Append the deletion of each message; what is there already is not doubled. Raises Unavailable, LogUnavailable."""
    log = container.message_log()
    await log.start()
    await asyncio.gather(
        *(
            append_change(
                log=log,
                conversation=conversation,
                change=MessageChanged(
                    author,
                    uuid5(_DELETIONS, ids.server_id(conversation, message)).bytes,
                    message,
                    "delete",
                    erased=True,
                ),
            )
            for message in messages
        )
    )
