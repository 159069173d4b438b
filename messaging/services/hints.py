"""Hints to people's own devices that something of a conversation is to be read again (``conv`` in docs/protocol.md)."""

from collections.abc import Sequence
from typing import Literal

from asgiref.sync import async_to_sync

from chatproject import container
from messaging.domain import frames, ids
from messaging.domain.events import Deliver
from messaging.domain.ids import ConversationId, UserId
from messaging.services.fanout import fan_out


def hint(
    users: Sequence[UserId],
    conversation_id: ConversationId,
    change: Literal["settings", "requests", "draft", "scheduled", "previews"],
) -> None:
    """Tell the connected devices of these users what changed. Best effort, like all that goes to pods; blocks."""
    told = Deliver(list(users), frames.Conv(ids.conversation_ref(conversation_id), change))
    async_to_sync(fan_out)([told], registry=container.registry(), bus=container.pod_bus())
