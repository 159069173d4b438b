"""One message, and those that are pinned, for one reader."""

from dataclasses import dataclass

from chatproject import container
from messaging.domain import frames
from messaging.domain.errors import NotFound
from messaging.domain.ids import ConversationId, MessageId, UserId, sub_of, timestamp_ms
from messaging.domain.messages import StoredMessage
from messaging.selectors.access import Access, require_member
from messaging.selectors.history import message_frame


@dataclass(frozen=True, slots=True)
class Sight:
    """What a member has to do with a message. ``message`` is None where it is in the log and the router comes to it."""

    access: Access
    message: StoredMessage | None


def find_message(user_id: UserId, conversation_id: ConversationId, message_id: MessageId) -> Sight:
    """Return a message that a member may see; one that was acked a moment ago may not be stored yet.

    Raises:
        NotFound: the user is no member, there is no such message, or it is older than the membership.
    """
    access = require_member(user_id, conversation_id)
    ref = (conversation_id, message_id)
    message = container.message_store().get([ref]).get(ref)
    last_id = access.conversation.mark.get(sub_of(message_id), MessageId(0))
    if message_id <= access.floor or (message is None and message_id <= last_id):
        raise NotFound("no such message")
    return Sight(access, message)


@dataclass(frozen=True, slots=True)
class PinnedMessage:
    """A pinned message as it is now, who pinned it, and when (Unix ms)."""

    message: frames.Msg
    user_id: UserId
    ts_ms: int


def pinned_messages(*, user_id: UserId, conversation_id: ConversationId) -> list[PinnedMessage]:
    """Return what is pinned in a conversation, the newest pin first; at most ``max_pins``.

    What a member cannot see, as it was said before the joining or is over its time, is left out.

    Raises:
        NotFound: the user is no member.
    """
    access = require_member(user_id, conversation_id)
    store = container.message_store()
    pins = [pin for pin in store.pins(conversation_id) if pin.message_id > access.floor]
    refs = [(conversation_id, pin.message_id) for pin in pins]
    found = store.get(refs)
    tallies = store.reactions(refs, viewer=user_id) if refs else {}
    pinned = []
    for ref, pin in zip(refs, pins, strict=True):
        # Expiry may have taken it since.
        if ref in found:
            frame = message_frame(found[ref], viewer=user_id, tallies=tallies.get(ref, ()))
            pinned.append(PinnedMessage(frame, pin.user_id, timestamp_ms(pin.change_id)))
    return pinned


def one_message(*, user_id: UserId, conversation_id: ConversationId, message_id: MessageId) -> frames.Msg:
    """Return a message as it is now.

    Raises:
        NotFound: the user is no member, or there is no such message for the user.
    """
    message = find_message(user_id, conversation_id, message_id).message
    if message is None:
        raise NotFound("no such message")
    ref = (conversation_id, message_id)
    tallies = container.message_store().reactions([ref], viewer=user_id)
    return message_frame(message, viewer=user_id, tallies=tallies.get(ref, ()))
