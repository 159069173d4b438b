"""What comes in by a webhook: a message of its bot, in its one conversation (docs/decisions/0081)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4, uuid5

from prometheus_client import Counter

from accounts.models import Device
from accounts.selectors.credentials import hook_for_token
from accounts.services.devices import touch_sometimes
from accounts.services.suspension import refuse_suspended
from messaging.domain.errors import NotFound
from messaging.domain.ids import ConversationId, UserId
from messaging.services.post import post_message
from messaging.services.send import Sent

POSTED = Counter(
    "chat_hooks_posted_total",
    "Messages that incoming webhooks wrote; a copy was there already.",
    ["result"],
)

_KEYS: Final = UUID("6b6b7b0e-3c1f-4b7a-9a56-0d7b8d0a2c44")


@dataclass(frozen=True, slots=True)
class Posted:
    """A message that is in the log."""

    msg_id: str
    conversation: ConversationId
    sent: Sent


def hook_of(token: str) -> Device:
    """Return the webhook whose address has this secret.

    Raises:
        NotFound: there is none, or it was revoked. Suspended: moderators keep its bot, or the bot's owner, out.
    """
    hook = hook_for_token(token)
    if hook is None or not hook.conversations:
        raise NotFound("no such webhook, or it was revoked")
    refuse_suspended(hook.user)
    return hook


def post(
    *, hook: Device, text: str, mentions: Sequence[str] = (), reply_to: str | None = None, key: str = ""
) -> Posted:
    """Return where the message stands in the log, once it is durable. Idempotent by ``key``, where there is one.

    Raises: as ``post_message``; NotFound also where the bot is not in the conversation any more.
    """
    touch_sometimes(hook)
    # Two webhooks may use the same keys.
    msg_id = str(uuid5(_KEYS, f"{hook.pk}:{key}") if key else uuid4())
    conversation = ConversationId((hook.conversations or [0])[0])
    sent = post_message(
        sender=UserId(hook.user_id),
        conversation_id=conversation,
        msg_id=msg_id,
        body=text,
        media=[],
        reply_to=reply_to,
        mentions=mentions,
    )
    POSTED.labels("copy" if sent.duplicate else "first").inc()
    return Posted(msg_id, conversation, sent)
