"""Spreading a conversation on the word of somebody of the staff, who is named for it in the audit log."""

from chatproject import container
from messaging.compliance.audit import Action, record
from messaging.domain.errors import NotFound
from messaging.domain.ids import ConversationId, UserId, conversation_ref
from messaging.services.hot import check_k, set_hot


def spread(*, conversation_id: ConversationId, k: int, actor: UserId | None, reason: str) -> None:
    """Spread a conversation over ``k`` sub-partitions, 1 for none, as ``set_hot`` does, and note who did so and why.

    ``actor``: None for a command on the server itself. The entry is there first: the conversation may be in Cassandra,
    which shares no transaction with it.

    Raises:
        InvalidInput: ``k`` is out of range, or there is no reason. NotFound: there is no such conversation.
    """
    check_k(k)
    found = container.conversation_store().get([conversation_id]).get(conversation_id)
    if found is None:
        raise NotFound("no such conversation")
    record(
        Action.CONVERSATION_SPREAD,
        actor=actor,
        object=conversation_ref(conversation_id),
        reason=reason,
        details={"from": found.hot_k, "to": k},
    )
    set_hot(conversation_id=conversation_id, k=k)
