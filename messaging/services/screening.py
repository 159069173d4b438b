"""Asks the moderators' rules before a text goes into the log, for REST; the gateway asks in its own threads.

Who changes a rule waits a few seconds until it is in force.
"""

from chatproject import container
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.ports import Draft


def screened(*, sender: UserId, client_msg_id: bytes, body: str) -> tuple[Draft, tuple[int, ...]]:
    """Return what was judged, and which rules want moderators to look at it. Raises NotAccepted. Blocks."""
    screener = container.screener()
    draft = Draft(sender, client_msg_id, body)
    if screener.due():
        screener.refresh()
    return draft, () if screener.idle else screener.screen(draft)


def flag(judged: tuple[Draft, tuple[int, ...]], conversation_id: ConversationId, message_id: MessageId) -> None:
    """Bring a message that is in the log to the moderators, where a rule wants that. Blocks."""
    draft, rules = judged
    if rules:
        container.screener().flag(rules=rules, draft=draft, conversation_id=conversation_id, message_id=message_id)
