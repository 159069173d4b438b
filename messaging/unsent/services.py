"""Keep what somebody has begun to write, and tell their other devices (docs/decisions/0066)."""

from django.db import transaction
from django.utils import timezone

from chatproject import container
from messaging.domain.errors import Conflict, InvalidInput
from messaging.domain.ids import ConversationId, UserId
from messaging.selectors.access import require_member
from messaging.services.hints import hint
from messaging.services.send import check_body
from messaging.unsent.models import Draft


def keep_draft(*, user: UserId, conversation_id: ConversationId, body: str) -> None:
    """Keep what the user has begun in a conversation; the last one kept stands, and a blank one is none.

    Of more than ``max_drafts`` the oldest go.

    Raises:
        NotFound: the user is no member. TooLarge: over ``max_body_bytes``.
        InvalidInput: it holds a NUL, which not every database keeps.
        Conflict: the conversation is encrypted, and what is written there is not for the server.
    """
    limits = container.limits()
    check_body(body, limits)
    if "\x00" in body:
        raise InvalidInput("a draft cannot hold NUL")
    if require_member(user, conversation_id).conversation.encrypted:
        raise Conflict("what is written in an encrypted conversation is not kept here")
    rows = Draft.objects.filter(user_id=user)
    with transaction.atomic():
        if not body.strip():
            changed = rows.filter(conversation_id=conversation_id).delete()[0] > 0
        else:
            changed = not rows.filter(conversation_id=conversation_id, body=body).exists()
            fields = {"body": body, "updated_at": timezone.now()}
            Draft.objects.update_or_create(user_id=user, conversation_id=conversation_id, defaults=fields)
            kept = rows.order_by("-updated_at", "-pk").values_list("pk", flat=True)[: limits.max_drafts]
            rows.exclude(pk__in=list(kept)).delete()
    if changed:
        hint([user], conversation_id, "draft")


def forget_drafts(user: UserId) -> None:
    """Delete what a user has begun, for an account that is erased."""
    Draft.objects.filter(user_id=user).delete()
