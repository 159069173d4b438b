"""What a push says, as far as its reader allows (design section 8). Pure."""

from dataclasses import dataclass
from typing import Final

from messaging.domain import ids
from messaging.domain.messages import Conversation, ConversationType, StoredMessage
from push.models import Content
from push.providers.base import Notice

_APP: Final = "Chat"
_NEWS: Final = "New message"
#: Characters of a text that a notification shows.
_MAX_TEXT_CHARS: Final = 500


@dataclass(frozen=True, slots=True)
class Said:
    """A message with the names that go with it. ``mentioned``: it mentions the reader."""

    message: StoredMessage
    conversation: Conversation
    sender_name: str
    mentioned: bool = False


def may_show(message: StoredMessage) -> bool:
    """Return whether a provider may be given anything of a message but the reference.

    The one place for it: what is not plain text (an encrypted message, say) never leaves this server but as an id.
    """
    return message.kind == "text"


def notice(said: Said, *, content: str, badge: int) -> Notice:
    """Return the notification of a message."""
    where = ids.conversation_ref(said.conversation.id)
    data = {"conv": where, "server_id": ids.server_id(said.conversation.id, said.message.message_id)}
    title, body = _words(said, content if may_show(said.message) else Content.NOTHING)
    return Notice(title, body, data, collapse=where, badge=badge)


def _words(said: Said, content: str) -> tuple[str, str]:
    name = said.sender_name
    is_group = said.conversation.type is not ConversationType.DM
    title = (said.conversation.name or "Group") if is_group else name
    if content == Content.FULL:
        text = said.message.text.strip()[:_MAX_TEXT_CHARS] or "Attachment"
        return title, f"{name}: {text}" if is_group else text
    if content == Content.SENDER:
        if not is_group:
            return title, _NEWS
        return title, f"{name} mentioned you" if said.mentioned else f"{_NEWS} from {name}"
    return _APP, _NEWS


def taken_back(conversation_id: int, message_id: int, *, badge: int) -> Notice:
    """Return what removes a conversation's notification up to a message, and sets the badge."""
    where = ids.conversation_ref(conversation_id)
    data = {"conv": where, "read": ids.server_id(conversation_id, message_id)}
    return Notice("", "", data, collapse=where, badge=badge, expires_s=3600)


def test_notice() -> Notice:
    """Return the notification that says that notifications arrive."""
    return Notice(_APP, "Notifications work on this device.", {"test": "1"}, collapse="test", badge=0, expires_s=300)
