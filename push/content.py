"""What a push says, as far as its reader allows (design section 8). Pure, but for the language that is spoken."""

from dataclasses import dataclass, replace
from typing import Final

from django.utils.translation import gettext as _

from messaging.domain import ids
from messaging.domain.ids import ConversationId, MessageId, ScheduledId
from messaging.domain.messages import Conversation, ConversationType, StoredMessage
from push.models import Content
from push.providers.base import Notice

#: Characters of a text that a notification shows.
_MAX_TEXT_CHARS: Final = 500


@dataclass(frozen=True, slots=True)
class Said:
    """A message with the names that go with it, and what stands for it where it has no text.

    ``mentioned``: it mentions the reader.
    """

    message: StoredMessage
    conversation: Conversation
    sender_name: str
    mentioned: bool = False
    attached: str = ""


def may_show(said: Said) -> bool:
    """Return whether a provider may be given anything of a message but the reference.

    The one place for it: of an encrypted conversation, and of what is no text, nothing leaves this server but ids.
    """
    return said.message.kind == "text" and not said.conversation.encrypted


def notice(said: Said, *, content: str, badge: int) -> Notice:
    """Return the notification of a message."""
    where = ids.conversation_ref(said.conversation.id)
    data = {"conv": where, "server_id": ids.server_id(said.conversation.id, said.message.message_id)}
    title, body = _words(said, content if may_show(said) else Content.NOTHING)
    return Notice(title, body, data, collapse=where, badge=badge)


def title_of(conversation: Conversation, other: str) -> str:
    """Return what somebody sees a conversation called; ``other``: the name of the other person of a DM."""
    return other if conversation.type is ConversationType.DM else conversation.name or _("Group")


def _words(said: Said, content: str) -> tuple[str, str]:
    name = said.sender_name
    is_group = said.conversation.type is not ConversationType.DM
    title = title_of(said.conversation, name)
    if content == Content.FULL:
        text = said.message.text.strip()[:_MAX_TEXT_CHARS] or said.attached or _("Attachment")
        return title, f"{name}: {text}" if is_group else text
    if content == Content.SENDER:
        if not is_group:
            return title, _("New message")
        told = _("%(name)s mentioned you") if said.mentioned else _("New message from %(name)s")
        return title, told % {"name": name}
    return _("Chat"), _("New message")


def in_place(said: Said, *, content: str, badge: int, of: int) -> Notice:
    """Return the notification of a message that takes the place of the one of message ``of``, where that is shown."""
    shown = notice(said, content=content, badge=badge)
    replaced = ids.server_id(said.conversation.id, MessageId(of))
    return replace(shown, data={**shown.data, "replaces": replaced}, quiet=True)


def deleted(conversation_id: int, message_id: int, *, badge: int) -> Notice:
    """Return what stands for a deleted message where a notification cannot be taken back."""
    where = ids.conversation_ref(conversation_id)
    gone = ids.server_id(conversation_id, message_id)
    data = {"conv": where, "server_id": gone, "replaces": gone}
    return Notice(_("Chat"), _("A message was deleted."), data, collapse=where, badge=badge, expires_s=3600, quiet=True)


def taken_back(conversation_id: int, message_id: int, *, badge: int) -> Notice:
    """Return what removes a conversation's notification up to a message, and sets the badge."""
    where = ids.conversation_ref(conversation_id)
    data = {"conv": where, "read": ids.server_id(conversation_id, message_id)}
    return Notice("", "", data, collapse=where, badge=badge, expires_s=3600)


def unsent(conversation_id: ConversationId, scheduled: ScheduledId, *, title: str, badge: int) -> Notice:
    """Return the notification that a message which was to be sent later was not. Its text is its author's to look up.

    ``title``: what the conversation is called, or what stands for it.
    """
    where = ids.conversation_ref(conversation_id)
    data = {"conv": where, "scheduled": ids.scheduled_ref(scheduled)}
    # Beside what is shown of the conversation's messages, and not in its place.
    return Notice(title, _("A scheduled message could not be sent."), data, collapse=f"unsent-{where}", badge=badge)


def test_notice() -> Notice:
    """Return the notification that says that notifications arrive."""
    return Notice(
        _("Chat"),
        _("Notifications work on this device."),
        {"test": "1"},
        collapse="test",
        badge=0,
        expires_s=300,
    )
