"""Tables of the relational adapters (design section 4). Data and constraints only; the rules are in services."""

from messaging.models.conversations import (
    ConversationChainRow,
    ConversationRecord,
    ConversationRow,
    DeviceMarkRow,
    HotConversation,
    MembershipRow,
)
from messaging.models.messages import MessageChangeRow, MessageRow, PinRow, ReactionRow, ReceiptRow

__all__ = [
    "ConversationChainRow",
    "ConversationRecord",
    "ConversationRow",
    "DeviceMarkRow",
    "HotConversation",
    "MembershipRow",
    "MessageChangeRow",
    "MessageRow",
    "PinRow",
    "ReactionRow",
    "ReceiptRow",
]
