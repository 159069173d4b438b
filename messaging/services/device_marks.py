"""How far each device has its conversations, for devices that ask the server to remember it (docs/decisions/0039)."""

from collections.abc import Mapping

from chatproject import container
from messaging.domain.ids import ConversationId, DeviceId, Mark, UserId


def keep_marks(user_id: UserId, device_id: DeviceId, marks: Mapping[ConversationId, Mark]) -> None:
    """Remember marks; they move forward only, in each chain.

    Those of conversations that the user never was in are passed over, and those beyond the end of their chain.
    """
    store = container.conversation_store()
    true: dict[ConversationId, Mark] = {}
    for conversation, stands in store.memberships(user_id, list(marks)).items():
        ends = {sub: chain.last_id for sub, chain in stands.chains.items()}
        held = {sub: mark for sub, mark in marks[conversation].items() if mark <= ends.get(sub, 0)}
        if held:
            true[conversation] = held
    store.keep_marks(user_id, device_id, true)
