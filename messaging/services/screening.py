"""Asks the moderators' rules before a text goes into the log, for REST; the gateway asks in its own threads.

Who changes a rule waits a few seconds until it is in force.
"""

from chatproject import container
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.ports import Draft, MessageScreener


def screened(*, sender: UserId, client_msg_id: bytes, body: str) -> tuple[Draft, tuple[int, ...]]:
    """Return what was judged, and which rules want moderators to look at it. Blocks.

    Raises:
        NotAccepted: a rule refuses it. RateLimited: moderators limit how much its sender sends.
    """
    screener = _fresh()
    draft = Draft(sender, client_msg_id, body)
    return draft, () if screener.idle(sender) else screener.screen(draft)


def may_begin(user: UserId) -> None:
    """Pass a user who is about to begin a conversation. Raises RateLimited: moderators limit how many. Blocks."""
    _fresh().may_begin(user)


def _fresh() -> MessageScreener:
    screener = container.screener()
    if screener.due():
        screener.refresh()
    return screener


def flag(judged: tuple[Draft, tuple[int, ...]], conversation_id: ConversationId, message_id: MessageId) -> None:
    """Bring a message that is in the log to the moderators, where a rule wants that. Blocks."""
    draft, rules = judged
    if rules:
        container.screener().flag(rules=rules, draft=draft, conversation_id=conversation_id, message_id=message_id)
