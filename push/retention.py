"""What pushes hold of messages: their ids, senders and recipients. Their texts are read when they are sent."""

from collections.abc import Sequence

from django.db.models import Q

from messaging.domain.ids import ConversationId, MessageId
from messaging.ports import Kept
from push.models import Push


class PushCopy:
    """``Copy`` of the rows that say what became of pushes."""

    def forget(self, conversation_id: ConversationId, *, before: MessageId, keep: Kept, media: Sequence[str]) -> None:
        """Delete the rows of messages that go."""
        kept = Q()
        for span in keep:
            kept |= Q(message_id__range=span)
        rows = Push.objects.filter(conversation_id=conversation_id, message_id__lt=before)
        (rows.exclude(kept) if keep else rows).delete()
