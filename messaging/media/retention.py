"""Media that go with messages: what nothing refers to any more (docs/decisions/0056)."""

from collections.abc import Iterator, Sequence

from chatproject import container
from messaging.domain.ids import ConversationId, MessageId
from messaging.domain.messages import DedupeKey
from messaging.media import services
from messaging.ports import Kept

_PAGE = 500


class MediaCopy:
    """``Copy`` of the files that messages refer to.

    A file goes with the last message that refers to it, wherever that is. So one to which a held message refers stays,
    also where that is in another conversation.
    """

    def forget(self, conversation_id: ConversationId, *, before: MessageId, keep: Kept, media: Sequence[str]) -> None:
        """Release what the messages that go refer to. Where none has media nothing is read."""
        if media:
            for page in _going(conversation_id, before, keep):
                services.release(page)


def _going(conversation_id: ConversationId, before: MessageId, keep: Kept) -> Iterator[list[DedupeKey]]:
    """Yield, in pages, what makes each of the messages with media that go the same message."""
    store, after = container.message_store(), MessageId(0)
    while page := store.oldest_after(conversation_id, after=after, upto=MessageId(before - 1), limit=_PAGE):
        yield [
            DedupeKey(conversation_id, it.sender_id, it.client_msg_id)
            for it in page
            if it.media and not _end_of_kept(it.message_id, keep)
        ]
        after = page[-1].message_id
        # What is kept may be most of it.
        after = max(after, _end_of_kept(MessageId(after + 1), keep))


def _end_of_kept(message_id: MessageId, keep: Kept) -> MessageId:
    """Return the last id of the range that keeps a message, 0 where none does."""
    return next((last for first, last in keep if first <= message_id <= last), MessageId(0))
