"""Which links are in force, who asks to be let in, and what a link leads to."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from accounts.selectors import people
from chatproject import container
from messaging.domain.errors import Conflict, NotFound
from messaging.domain.ids import ConversationId, MediaId, UserId
from messaging.domain.messages import Conversation, ConversationType, Membership, Role
from messaging.invites.models import Invite, JoinRequest
from messaging.selectors.access import Access, require_member, require_role

#: Whoever was not let in may ask again after this.
DECLINED_FOR: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a link leads to, for who has it. ``standing``: ``member``, ``requested`` or ``none``."""

    conversation: Conversation
    approval: bool
    standing: str


@dataclass(frozen=True, slots=True)
class Asking:
    """Somebody who asks to be let in; the names are empty where the account is gone."""

    user_id: UserId
    username: str
    display_name: str
    picture: MediaId | None
    created_at: datetime


def require_manager(actor: UserId, conversation_id: ConversationId) -> Access:
    """Return the group and the actor's place, who may let people in.

    Raises:
        NotFound: the actor is no member. Conflict: it is a direct conversation. Forbidden: neither owner nor admin.
    """
    access = require_member(actor, conversation_id)
    if access.conversation.type is ConversationType.DM:
        raise Conflict("nobody else comes into a direct conversation")
    require_role(access, Role.OWNER, Role.ADMIN)
    return access


def in_force() -> QuerySet[Invite]:
    """Return the links that lead somewhere now."""
    found = Invite.objects.filter(revoked_at=None).filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
    return found.filter(Q(max_uses=None) | Q(uses__lt=F("max_uses")))


def invites_of(actor: UserId, conversation_id: ConversationId) -> list[Invite]:
    """Return the links of a group that are in force, the newest first. Raises as ``require_manager``."""
    require_manager(actor, conversation_id)
    return list(in_force().filter(conversation_id=conversation_id).order_by("-created_at"))


def asking(actor: UserId, conversation_id: ConversationId) -> list[Asking]:
    """Return who asks to be let in, in the order of asking; at most ``max_join_requests``.

    Raises as ``require_manager``.
    """
    require_manager(actor, conversation_id)
    rows = list(JoinRequest.objects.filter(conversation_id=conversation_id, declined_at=None).order_by("created_at"))
    cards = people.cards_for(actor, [UserId(row.user_id) for row in rows])
    found = []
    for row in rows:
        card = cards.get(UserId(row.user_id))
        who = (card.username, card.display_name, card.picture) if card else ("", "", None)
        found.append(Asking(UserId(row.user_id), *who, row.created_at))
    return found


def conversation_of(invite: Invite) -> Conversation:
    """Return the group that a link leads into. Raises NotFound: it is gone."""
    conversation_id = ConversationId(invite.conversation_id)
    conversation = container.conversation_store().get([conversation_id]).get(conversation_id)
    if conversation is None:
        raise NotFound("no such invitation")
    return conversation


def place_of(user: UserId, invite: Invite) -> Membership | None:
    """Return the user's membership in the group, also an ended one."""
    return container.conversation_store().membership(user, ConversationId(invite.conversation_id))


def is_asking(user: UserId, invite: Invite) -> bool:
    """Return whether the user has asked to be let into the group, and nobody decided yet."""
    rows = JoinRequest.objects.filter(conversation_id=invite.conversation_id, user_id=user, declined_at=None)
    return rows.exists()


def preview(user: UserId, token: str) -> Preview:
    """Return what a link leads to.

    Raises:
        NotFound: there is no such link, or it is not in force any more: the two look alike.
    """
    invite = in_force().filter(pk=token).first()
    if invite is None:
        raise NotFound("no such invitation, or it is over")
    place = place_of(user, invite)
    standing = "none"
    if place is not None and place.active:
        standing = "member"
    elif is_asking(user, invite):
        standing = "requested"
    # Who was here once comes back only with somebody's consent.
    return Preview(conversation_of(invite), invite.approval or place is not None, standing)
