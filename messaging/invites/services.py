"""Make and revoke links into groups; come in by one; let people in who ask (docs/decisions/0064)."""

from datetime import timedelta
from typing import Final, Literal

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from chatproject import container
from messaging.domain.errors import ChatError, Conflict, InvalidInput, NotFound
from messaging.domain.ids import ConversationId, UserId
from messaging.invites.models import Invite, JoinRequest
from messaging.invites.selectors import DECLINED_FOR, conversation_of, in_force, is_asking, place_of, require_manager
from messaging.services import conversations
from messaging.services.hints import hint

_MIN_S: Final = 60
_MAX_S: Final = 365 * 86_400


def create_invite(
    *,
    actor: UserId,
    conversation_id: ConversationId,
    expires_in_s: int | None = None,
    max_uses: int | None = None,
    approval: bool = False,
) -> Invite:
    """Return a new link into a group. None: it does not expire; it may be used without end.

    Raises:
        NotFound, Forbidden, Conflict: as ``require_manager``; Conflict also where there are ``max_invites`` already.
        InvalidInput: less than a minute or more than a year, or a number of uses that no group has room for.
    """
    limits = container.limits()
    if expires_in_s is not None and not _MIN_S <= expires_in_s <= _MAX_S:
        raise InvalidInput(f"expires_in_s: from {_MIN_S} to {_MAX_S} seconds, or null")
    if max_uses is not None and not 1 <= max_uses <= limits.max_members:
        raise InvalidInput(f"max_uses: from 1 to {limits.max_members}, or null")
    require_manager(actor, conversation_id)
    if in_force().filter(conversation_id=conversation_id).count() >= limits.max_invites:
        raise Conflict(f"this group has {limits.max_invites} invitations; revoke one first")
    now = timezone.now()
    return Invite.objects.create(
        conversation_id=conversation_id,
        created_by=actor,
        created_at=now,
        expires_at=None if expires_in_s is None else now + timedelta(seconds=expires_in_s),
        max_uses=max_uses,
        approval=approval,
    )


def revoke_invite(*, actor: UserId, conversation_id: ConversationId, token: str) -> None:
    """End a link; who came in by it stays, and who asked can still be let in. Idempotent.

    Raises:
        NotFound: also where the group has no such link. Forbidden, Conflict: as ``require_manager``.
    """
    require_manager(actor, conversation_id)
    rows = Invite.objects.filter(pk=token, conversation_id=conversation_id)
    if not rows.exists():
        raise NotFound("no such invitation")
    rows.filter(revoked_at=None).update(revoked_at=timezone.now())


def join(*, user: UserId, token: str) -> tuple[ConversationId, Literal["joined", "requested"]]:
    """Come in by a link, or ask to; who is in already, or has asked, is told the same again, and it is not used up.

    Who was in the group before has to ask, whatever the link says: perhaps somebody removed them.

    Raises:
        NotFound: there is no such link, or it is over.
        TooManyMembers: the group is full. Conflict: too many ask, or the user was declined within a day.
        Unavailable: not joined; repeat it.
    """
    invite = Invite.objects.filter(pk=token).first()
    place = None if invite is None else place_of(user, invite)
    if invite is not None and place is not None and place.active:
        return ConversationId(invite.conversation_id), "joined"
    if invite is not None and is_asking(user, invite):
        return ConversationId(invite.conversation_id), "requested"
    if invite is None or not in_force().filter(pk=token).exists():
        raise NotFound("no such invitation, or it is over")
    conversation_id = conversation_of(invite).id
    if invite.approval or place is not None:
        if _ask(user, invite):
            _hint_managers(conversation_id)
        return conversation_id, "requested"
    _take_use(invite)
    try:
        conversations.join(user=user, conversation_id=conversation_id)
    except ChatError:
        _give_use_back(invite)
        raise
    return conversation_id, "joined"


def _take_use(invite: Invite) -> None:
    """Count one more use, where there is one left: one statement, so that the last one is had once."""
    if not in_force().filter(pk=invite.pk).update(uses=F("uses") + 1):
        raise NotFound("no such invitation, or it is over")


def _give_use_back(invite: Invite) -> None:
    Invite.objects.filter(pk=invite.pk, uses__gt=0).update(uses=F("uses") - 1)


def _ask(user: UserId, invite: Invite) -> bool:
    """Note that somebody asks; return whether they did not before."""
    most = container.limits().max_join_requests
    with transaction.atomic():
        rows = JoinRequest.objects.filter(conversation_id=invite.conversation_id)
        held = rows.filter(user_id=user).first()
        if held is not None and held.declined_at is None:
            return False
        if held is not None and held.declined_at is not None:
            if held.declined_at > timezone.now() - DECLINED_FOR:
                raise Conflict("you were not let in; you can ask again tomorrow")
            held.delete()
        if rows.filter(declined_at=None).count() >= most:
            raise Conflict("too many people ask to be let in; try again later")
        _take_use(invite)
        try:
            with transaction.atomic():
                JoinRequest.objects.create(
                    conversation_id=invite.conversation_id, user_id=user, invite=invite, created_at=timezone.now()
                )
        except IntegrityError:
            # Asked twice at once.
            _give_use_back(invite)
            return False
    return True


def decide(*, actor: UserId, conversation_id: ConversationId, user: UserId, accept: bool) -> None:
    """Let somebody in who asked, or not.

    Raises:
        NotFound: the actor is no member, or the user does not ask. Forbidden, Conflict: as ``require_manager``.
        TooManyMembers, Blocked, Unavailable: as ``add_members``; the request stays.
    """
    require_manager(actor, conversation_id)
    rows = JoinRequest.objects.filter(conversation_id=conversation_id, user_id=user, declined_at=None)
    request = rows.select_related("invite").first()
    if request is None:
        raise NotFound("no such request")
    if accept:
        conversations.add_members(actor=actor, conversation_id=conversation_id, users=[user])
        rows.delete()
    elif rows.update(declined_at=timezone.now()) and request.invite is not None:
        _give_use_back(request.invite)
    _hint_managers(conversation_id)


def forget_requests(user: UserId) -> None:
    """Delete what a user has asked for, and end their links, for an account that is erased."""
    for request in JoinRequest.objects.filter(user_id=user).select_related("invite"):
        if request.declined_at is None and request.invite is not None:
            _give_use_back(request.invite)
        request.delete()
    Invite.objects.filter(created_by=user, revoked_at=None).update(revoked_at=timezone.now())


def _hint_managers(conversation_id: ConversationId) -> None:
    """Have the owner's and the admins' devices look who asks."""
    managers = [place.user_id for place in conversations.everybody(conversation_id) if place.role.moderates]
    hint(managers, conversation_id, "requests")
