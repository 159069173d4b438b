"""Previews that go with messages (docs/decisions/0075)."""

from collections.abc import Sequence

from django.db.models import Q

from messaging.domain.ids import ConversationId, MessageId
from messaging.ports import Kept
from messaging.previews.models import PreviewUse


class PreviewCopy:
    """``Copy`` of what the links of messages led to. What nothing shows any more is swept."""

    def forget(self, conversation_id: ConversationId, *, before: MessageId, keep: Kept, media: Sequence[str]) -> None:
        """Delete which previews the messages show that go."""
        going = PreviewUse.objects.filter(conversation_id=conversation_id, message_id__lt=before)
        kept = Q()
        for first, last in keep:
            kept |= Q(message_id__gte=first, message_id__lte=last)
        (going.exclude(kept) if kept else going).delete()
