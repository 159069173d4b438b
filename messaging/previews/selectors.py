"""What is shown with messages of what their links lead to, for those who can read the messages."""

from collections.abc import Sequence
from dataclasses import dataclass

from accounts.selectors import people
from chatproject import container
from messaging.domain import ids
from messaging.domain.errors import InvalidInput, NotFound
from messaging.domain.ids import UserId
from messaging.domain.links import first_link
from messaging.domain.messages import StoredMessage
from messaging.ports import MessageRef
from messaging.previews.models import LinkPreview, PreviewUse
from messaging.previews.services import digest_of


@dataclass(frozen=True, slots=True)
class Shown:
    """A message (``m_…``) and what it shows."""

    message: str
    preview: LinkPreview


def shown_with(user_id: UserId, messages: Sequence[str]) -> list[Shown]:
    """Return the previews of those messages that the user can read now. Four queries for any number.

    None where the user wants to see none; nor of a text that has another link by now, or none.

    Raises:
        InvalidInput: one is no ``m_…``.
    """
    try:
        refs: dict[MessageRef, str] = {ids.parse_server_id(text): text for text in messages}
    except ids.InvalidId:
        raise InvalidInput("message is not a server_id") from None
    if not refs or not people.shows_previews([user_id]):
        return []
    readable = _readable(user_id, list(refs))
    uses = PreviewUse.objects.select_related("preview").filter(
        conversation_id__in={conversation for conversation, _ in readable},
        message_id__in={message for _, message in readable},
        removed=False,
    )
    shown = []
    for use in uses:
        message = readable.get((ids.ConversationId(use.conversation_id), ids.MessageId(use.message_id)))
        if message is None or use.preview is None or not use.preview.title:
            continue
        # As its reader sees it: of one that was deleted or is withheld there is no text.
        url = first_link(message.text)
        if url is not None and digest_of(url) == use.preview.digest:
            shown.append(Shown(refs[message.conversation_id, message.message_id], use.preview))
    return shown


def picture(user_id: UserId, message: str) -> LinkPreview:
    """Return the preview of a message that the user can read, with a picture.

    Raises:
        NotFound: the message is not the user's to read, shows none, or one without a picture.
    """
    try:
        found = shown_with(user_id, [message])
    except InvalidInput:
        raise NotFound("no such message") from None
    if not found or not found[0].preview.image_key:
        raise NotFound("no such preview")
    return found[0].preview


def _readable(user_id: UserId, refs: Sequence[MessageRef]) -> dict[MessageRef, StoredMessage]:
    standing = container.conversation_store().memberships(user_id, list({conversation for conversation, _ in refs}))
    seen = [
        (conversation, message)
        for conversation, message in refs
        if (stands := standing.get(conversation)) and stands.membership.active and message > stands.floor
    ]
    return container.message_store().get(seen) if seen else {}
