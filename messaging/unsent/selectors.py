"""What somebody has begun to write, or wants sent later, for that person."""

from chatproject import container
from messaging.domain.errors import NotFound
from messaging.domain.ids import ConversationId, ScheduledId, UserId
from messaging.selectors.access import require_member
from messaging.unsent.models import Draft, ScheduledMessage


def drafts_of(user: UserId) -> list[Draft]:
    """Return a user's drafts in the conversations of which they are a member, the newest first."""
    rows = list(Draft.objects.filter(user_id=user).order_by("-updated_at", "-pk"))
    standing = container.conversation_store().memberships(user, [ConversationId(row.conversation_id) for row in rows])
    return [
        row
        for row in rows
        if (stands := standing.get(ConversationId(row.conversation_id))) and stands.membership.active
    ]


def draft_in(user: UserId, conversation_id: ConversationId) -> str:
    """Return what the user has begun there; empty for nothing. Raises NotFound: the user is no member."""
    require_member(user, conversation_id)
    row = Draft.objects.filter(user_id=user, conversation_id=conversation_id).first()
    return "" if row is None else row.body


def scheduled_of(user: UserId, conversation_id: ConversationId | None = None) -> list[ScheduledMessage]:
    """Return what a user wants sent later, in one conversation or in all, the next one first.

    Also where they are no member any more: it is their own text, and it says why it was not sent.
    """
    rows = ScheduledMessage.objects.filter(user_id=user).order_by("send_at", "pk")
    return list(rows if conversation_id is None else rows.filter(conversation_id=conversation_id))


def scheduled(user: UserId, scheduled_id: ScheduledId) -> ScheduledMessage:
    """Return one of a user's messages that are to be sent later. Raises NotFound: there is none, or it is another's."""
    row = ScheduledMessage.objects.filter(pk=scheduled_id, user_id=user).first()
    if row is None:
        raise NotFound("no such message")
    return row
