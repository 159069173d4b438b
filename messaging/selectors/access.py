"""The only door to a conversation: who may see it, and who may write to it (design section 11)."""

from collections.abc import Collection
from dataclasses import dataclass

from accounts.selectors import people
from chatproject import container
from messaging.domain.errors import Blocked, NotFound
from messaging.domain.ids import ConversationId, UserId
from messaging.domain.messages import Conversation, ConversationType, Membership


@dataclass(frozen=True, slots=True)
class Access:
    """A conversation and the place of the one who asks in it."""

    conversation: Conversation
    membership: Membership


def require_member(user_id: UserId, conversation_id: ConversationId, *, also_former: bool = False) -> Access:
    """Return the conversation and the user's membership.

    Raises:
        NotFound: there is no such conversation, or the user is no member: the two look alike.
    """
    store = container.conversation_store()
    membership = store.membership(user_id, conversation_id)
    if membership is None or not (membership.active or also_former):
        raise NotFound("no such conversation")
    conversation = store.get([conversation_id]).get(conversation_id)
    if conversation is None:
        raise NotFound("no such conversation")
    return Access(conversation, membership)


def may_send(user_id: UserId, conversation_id: ConversationId) -> None:
    """Pass who may write to the conversation.

    Raises:
        NotFound: no such conversation, or not a member.
        Blocked: one of the two of a DM has blocked the other.
    """
    access = require_member(user_id, conversation_id)
    if access.conversation.type is ConversationType.DM:
        for other in (access.conversation.members or frozenset()) - {user_id}:
            if people.blocked_either_way(user_id, other):
                raise Blocked("you cannot write to each other: one of you has blocked the other")


def visible_presence(viewer_id: UserId, targets: Collection[UserId]) -> set[UserId]:
    """Return whose presence the viewer may see: they share a conversation, show it, and nobody blocked anybody."""
    sharing = container.conversation_store().sharing(viewer_id, [user for user in targets if user != viewer_id])
    if not sharing:
        return set()
    return (sharing & set(people.shares_presence(sharing))) - set(people.blocked_pairs(viewer_id, sharing))
