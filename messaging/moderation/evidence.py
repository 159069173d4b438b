"""What a reporter could see, kept as it was; and what the store still has, for those who judge."""

from collections.abc import Sequence
from typing import Any, Final

from accounts.selectors.people import display_names
from chatproject import container
from messaging.api.render import message as render
from messaging.domain import ids
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.messages import Membership, MessageChangeKind, StoredMessage
from messaging.selectors.history import message_frame

#: Messages before a reported one that are kept with it, and after it; of a reported conversation, its newest.
_BEFORE: Final = 10
_AFTER: Final = 5
_NEWEST: Final = 20
_MAX_CHANGES: Final = 200


def around(place: Membership, message_id: MessageId) -> list[dict[str, Any]]:
    """Return the message and some on both sides of it as the member sees them now, oldest first."""
    store, conversation = container.message_store(), place.conversation_id
    ref = (conversation, message_id)
    before = store.newest(conversation, after=place.joined_id, before=message_id, limit=_BEFORE)
    after = store.oldest_after(conversation, after=message_id, limit=_AFTER)
    return _as_seen(place.user_id, [*before[::-1], *store.get([ref]).values(), *after], reported=message_id)


def newest(place: Membership) -> list[dict[str, Any]]:
    """Return the newest messages of a conversation as the member sees them now, oldest first."""
    found = container.message_store().newest(place.conversation_id, after=place.joined_id, limit=_NEWEST)
    return _as_seen(place.user_id, found[::-1])


def _as_seen(
    viewer: UserId, messages: Sequence[StoredMessage], *, reported: MessageId | None = None
) -> list[dict[str, Any]]:
    cards = display_names(message.sender_id for message in messages)
    seen = []
    for message in messages:
        card = cards.get(message.sender_id)
        shown = render(message_frame(message, viewer=viewer))
        # The client's own id is nobody's business.
        shown.pop("msg_id", None)
        names = {"name": card.display_name if card else "", "username": card.username if card else ""}
        seen.append({**shown, **names, "reported": message.message_id == reported})
    return seen


def versions(conversation_id: ConversationId, message_id: MessageId) -> list[dict[str, Any]]:
    """Return what a message said, from its first text on: also where it is deleted or withheld. Oldest first.

    Only for those who judge, and only after it is in the audit log that they look.
    """
    store = container.message_store()
    message = store.get([(conversation_id, message_id)]).get((conversation_id, message_id))
    if message is None:
        return []
    changes = store.newest_changes(conversation_id, after=message_id, limit=_MAX_CHANGES)[::-1]
    edits = [it for it in changes if it.target_id == message_id and it.kind is MessageChangeKind.EDIT]
    texts = [(message_id, message.body), *((it.change_id, it.body) for it in edits)]
    if message.edit_id is not None and message.edit_id not in [at for at, _ in texts]:
        # Too much happened since for the changes that were read; the newest text is in the message.
        texts.append((message.edit_id, message.edited_body))
    return [{"ts": ids.timestamp_ms(at), "body": body} for at, body in texts]
