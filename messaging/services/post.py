"""Send a message without a socket: the same rules, the same log, the same dedupe (design section 5)."""

from collections.abc import Sequence

from asgiref.sync import async_to_sync

from chatproject import container
from messaging.domain.ids import ConversationId, UserId
from messaging.media.services import attach
from messaging.selectors.access import may_send
from messaging.services import screening
from messaging.services.changes import may_forward, may_mention
from messaging.services.send import Sent, send_message, validate_send


def post_message(
    *,
    sender: UserId,
    conversation_id: ConversationId,
    msg_id: str,
    body: str,
    media: list[str],
    reply_to: str | None,
    forwarded_from: str | None = None,
    mentions: Sequence[str] = (),
) -> Sent:
    """Return where the message stands in the log, once it is durable. Idempotent by ``msg_id``.

    Raises:
        NotFound: the sender is no member, or cannot read what is to be forwarded, or may not use the media.
        Conflict: what is to be forwarded is gone. NotAccepted: a rule of the moderators refuses the text.
        Blocked: one of a DM's two blocked the other. Forbidden: see ``may_mention``.
        InvalidInput, TooLarge: see ``validate_send``.
        Unavailable: not stored; repeat with the same ``msg_id``.
    """
    room = may_send(sender, conversation_id)
    message = validate_send(
        sender=sender,
        conversation=conversation_id,
        msg_id=msg_id,
        body=body,
        media=media,
        reply_to=reply_to,
        forwarded=forwarded_from is not None,
        mentions=mentions,
        limits=container.limits(),
    )
    may_mention(message)
    if forwarded_from is not None:
        may_forward(message, forwarded_from)
    judged = screening.screened(sender=sender, client_msg_id=message.client_msg_id, body=body)
    if media:
        attach(message, forwarded_from)
    sent = async_to_sync(send_message)(log=container.message_log(), message=message, hot_k=room.hot_k)
    screening.flag(judged, conversation_id, sent.message_id)
    return sent
