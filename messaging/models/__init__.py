"""Tables of the relational adapters (design section 4). Data and constraints only; the rules are in services."""

from messaging.models.conversations import ConversationChainRow, ConversationRow, DeviceMarkRow, MembershipRow
from messaging.models.messages import MessageChangeRow, MessageRow, PinRow, ReactionRow, ReceiptRow

__all__ = [
    "ConversationChainRow",
    "ConversationRow",
    "DeviceMarkRow",
    "MembershipRow",
    "MessageChangeRow",
    "MessageRow",
    "PinRow",
    "ReactionRow",
    "ReceiptRow",
]
