"""Builds the adapters that the environment chose, once per process. The only module that knows adapters."""

from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.module_loading import import_string

from messaging.domain.limits import Limits
from messaging.ports import (
    ConnectionRegistry,
    ConversationStore,
    Copy,
    MediaStore,
    MessageLog,
    MessageScreener,
    MessageStore,
    PodBus,
    RateLimiter,
    SearchIndex,
)

if TYPE_CHECKING:
    from messaging.adapters.cassandra.session import CassandraSession
    from messaging.adapters.kafka.settings import KafkaSettings
    from messaging.adapters.kafka.topics import Topics


def limits() -> Limits:
    """Return the limits in force."""
    return settings.LIMITS


@cache
def message_log() -> MessageLog:
    """Return the log chosen by CHAT_LOG."""
    if settings.ENV["CHAT_LOG"] == "kafka":
        from messaging.adapters.kafka.log import KafkaMessageLog

        return KafkaMessageLog(kafka_settings())
    from messaging.adapters.embedded.log import SqliteMessageLog

    return SqliteMessageLog(settings.DATA_DIR / "log.sqlite3")


def kafka_settings() -> "KafkaSettings":
    """Return how Kafka is reached and what its topics have to be."""
    from messaging.adapters.kafka.settings import KafkaSettings

    env = settings.ENV
    return KafkaSettings(
        brokers=tuple(env["CHAT_KAFKA_BROKERS"]),
        prefix=env["CHAT_KAFKA_PREFIX"],
        partitions=env["CHAT_KAFKA_PARTITIONS"],
        replication=env["CHAT_KAFKA_REPLICATION"],
        min_isr=env["CHAT_KAFKA_MIN_ISR"],
        retention=timedelta(days=settings.LOG_RETENTION_DAYS),
        dedupe_cache=timedelta(seconds=env["CHAT_DEDUPE_CACHE_S"]),
        security=env["CHAT_KAFKA_SECURITY"],
        user=env["CHAT_KAFKA_USER"],
        password=env["CHAT_KAFKA_PASSWORD"],
        ca_file=env["CHAT_KAFKA_CA_FILE"],
        redis_url=env["CHAT_REDIS_URL"],
    )


def kafka_topics() -> "Topics":
    """Return the topics in Kafka, to look at and to mend; a context manager. Raises LogUnavailable."""
    from messaging.adapters.kafka.topics import Topics

    return Topics(kafka_settings())


@cache
def cassandra() -> "CassandraSession":
    """Return this process's way to Cassandra, which both stores share; nothing connects before the first statement."""
    from messaging.adapters.cassandra.connection import ALIAS, EngineSession
    from messaging.adapters.cassandra.session import CassandraSession

    return CassandraSession(EngineSession(), keyspace=settings.DATABASES[ALIAS]["NAME"])


@cache
def message_store() -> MessageStore:
    """Return the message store chosen by CHAT_STORE."""
    if settings.ENV["CHAT_STORE"] == "cassandra":
        from messaging.adapters.cassandra.messages import CassandraMessageStore

        return CassandraMessageStore(cassandra())
    from messaging.adapters.orm.messages import OrmMessageStore

    return OrmMessageStore()


@cache
def conversation_store() -> ConversationStore:
    """Return the conversation store chosen by CHAT_STORE."""
    if settings.ENV["CHAT_STORE"] == "cassandra":
        from messaging.adapters.cassandra.conversations import CassandraConversationStore

        return CassandraConversationStore(cassandra(), max_inline=limits().max_group_small)
    from messaging.adapters.orm.conversations import OrmConversationStore

    return OrmConversationStore(max_inline=limits().max_group_small)


@cache
def copies() -> tuple[Copy, ...]:
    """Return all that holds copies of messages beside the store: retention deletes there first."""
    from messaging.media.retention import MediaCopy
    from messaging.previews.retention import PreviewCopy
    from messaging.search.indexing import SearchCopy
    from push.retention import PushCopy

    return (PushCopy(), MediaCopy(), SearchCopy(), PreviewCopy())


@cache
def search_index() -> SearchIndex:
    """Return the index of messages by their words: in PostgreSQL where CHAT_DATABASE_URL names one, else a file."""
    if settings.ENV["CHAT_DATABASE_URL"]:
        from messaging.adapters.orm.search import PostgresSearchIndex

        return PostgresSearchIndex()
    from messaging.adapters.embedded.search import SqliteSearchIndex

    return SqliteSearchIndex(settings.DATA_DIR / "search.sqlite3")


@cache
def registry() -> ConnectionRegistry:
    """Return the connection registry chosen by CHAT_REGISTRY."""
    if settings.ENV["CHAT_REGISTRY"] == "redis":
        from messaging.adapters.cached_registry import CachedConnectionRegistry
        from messaging.adapters.redis.registry import RedisConnectionRegistry

        url = settings.ENV["CHAT_REGISTRY_URL"] or settings.ENV["CHAT_REDIS_URL"]
        return CachedConnectionRegistry(RedisConnectionRegistry(url))
    from messaging.adapters.embedded.registry import MemoryConnectionRegistry

    return MemoryConnectionRegistry()


@cache
def pod_bus() -> PodBus:
    """Return the bus between pods, over the channel layer chosen by CHAT_LAYER."""
    from messaging.adapters.channel_layer.bus import ChannelLayerPodBus

    if settings.ENV["CHAT_LAYER"] == "redis":
        from messaging.adapters.redis.clients import UNREACHABLE

        return ChannelLayerPodBus(unreachable=UNREACHABLE)
    return ChannelLayerPodBus()


@cache
def screener() -> MessageScreener:
    """Return the moderators' rules for texts."""
    made: MessageScreener = import_string(settings.MESSAGE_SCREENER)()
    return made


@cache
def rate_limiter() -> RateLimiter:
    """Return the token buckets of what all workers do together: in Redis where CHAT_JOBS lets there be several."""
    if settings.ENV["CHAT_JOBS"] == "redis":
        from messaging.adapters.redis.rates import RedisRateLimiter

        return RedisRateLimiter(settings.ENV["CHAT_REDIS_URL"])
    from messaging.adapters.embedded.rates import MemoryRateLimiter

    return MemoryRateLimiter()


@cache
def media_store() -> MediaStore:
    """Return the store of media chosen by CHAT_MEDIA."""
    env = settings.ENV
    if env["CHAT_MEDIA"] == "s3":
        from messaging.adapters.s3.media import S3MediaStore, S3Settings

        return S3MediaStore(
            S3Settings(
                bucket=env["CHAT_S3_BUCKET"],
                endpoint=env["CHAT_S3_ENDPOINT"],
                region=env["CHAT_S3_REGION"],
                access_key=env["CHAT_S3_ACCESS_KEY"],
                secret_key=env["CHAT_S3_SECRET_KEY"],
            )
        )
    from messaging.adapters.embedded.media import FileMediaStore

    return FileMediaStore(Path(env["CHAT_MEDIA_DIR"] or settings.DATA_DIR / "media"))
