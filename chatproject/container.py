"""Builds the adapters that the environment chose, once per process. The only module that knows adapters."""

from functools import cache

from django.conf import settings

from messaging.domain.limits import Limits
from messaging.ports import ConnectionRegistry, ConversationStore, MessageLog, MessageStore, PodBus


def limits() -> Limits:
    """Return the limits in force."""
    return settings.LIMITS


@cache
def message_log() -> MessageLog:
    """Return the log chosen by CHAT_LOG."""
    from messaging.adapters.embedded.log import SqliteMessageLog

    return SqliteMessageLog(settings.DATA_DIR / "log.sqlite3")


@cache
def message_store() -> MessageStore:
    """Return the message store chosen by CHAT_STORE."""
    from messaging.adapters.orm.messages import OrmMessageStore

    return OrmMessageStore()


@cache
def conversation_store() -> ConversationStore:
    """Return the conversation store chosen by CHAT_STORE."""
    from messaging.adapters.orm.conversations import OrmConversationStore

    return OrmConversationStore(max_inline=limits().max_group_small)


@cache
def registry() -> ConnectionRegistry:
    """Return the connection registry chosen by CHAT_REGISTRY."""
    from messaging.adapters.embedded.registry import MemoryConnectionRegistry

    return MemoryConnectionRegistry()


@cache
def pod_bus() -> PodBus:
    """Return the bus between pods, over the channel layer chosen by CHAT_LAYER."""
    from messaging.adapters.channel_layer.bus import ChannelLayerPodBus

    return ChannelLayerPodBus()
