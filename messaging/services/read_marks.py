"""Note how far a user has read, outside the socket."""

import time

from asgiref.sync import async_to_sync

from chatproject import container
from messaging.domain.errors import NotFound
from messaging.domain.events import Receipt, ReceiptBatch, encode
from messaging.domain.ids import ConversationId, DeviceId, MessageId, UserId
from messaging.ports import TOPIC_RECEIPTS, NewRecord
from messaging.selectors.access import require_member
from messaging.services.send import append_durably


def mark_read(
    *, user_id: UserId, device_id: DeviceId, conversation_id: ConversationId, message_id: MessageId
) -> MessageId:
    """Move the user's read mark forward to a message, tell the members, and return where the mark stands now.

    Raises:
        NotFound: the user is no member, or cannot see such a message.
        Unavailable: nothing was changed.
    """
    access = require_member(user_id, conversation_id)
    place = access.membership
    if message_id <= place.last_read_id:
        return place.last_read_id
    ref = (conversation_id, message_id)
    if message_id <= access.floor or ref not in container.message_store().get([ref]):
        raise NotFound("no such message")
    receipt = Receipt("read", conversation_id, message_id, user_id, device_id, int(time.time() * 1000))
    record = NewRecord(TOPIC_RECEIPTS, conversation_id.to_bytes(8, "big"), encode(ReceiptBatch([receipt])))
    async_to_sync(append_durably)(container.message_log(), record)
    # The router will do the same; doing it now makes the next answer of ours true.
    container.conversation_store().mark_read([(user_id, conversation_id, message_id)])
    return message_id
