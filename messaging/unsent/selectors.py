"""What somebody has begun to write, for that person."""

from chatproject import container
from messaging.domain.ids import ConversationId, UserId
from messaging.selectors.access import require_member
from messaging.unsent.models import Draft


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
