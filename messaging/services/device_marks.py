"""How far each device has its conversations, for devices that ask the server to remember it (docs/decisions/0039)."""

from collections.abc import Mapping

from chatproject import container
from messaging.domain.ids import ConversationId, DeviceId, MessageId, UserId


def keep_marks(user_id: UserId, device_id: DeviceId, marks: Mapping[ConversationId, MessageId]) -> None:
    """Remember marks; they move forward only.

    Those of conversations that the user never was in are passed over, and those beyond a conversation's end.
    """
    store = container.conversation_store()
    standing = store.memberships(user_id, list(marks))
    ends = {conversation: stands.last_id or MessageId(0) for conversation, stands in standing.items()}
    true = {conversation: mark for conversation, mark in marks.items() if mark <= ends.get(conversation, 0)}
    store.keep_marks(user_id, device_id, true)
