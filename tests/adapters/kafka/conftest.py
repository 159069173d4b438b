"""Kafka and Redis for these tests: the session's, and a broker of their own to harm."""

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient

from messaging.adapters.kafka.log import KafkaMessageLog
from messaging.adapters.kafka.settings import KafkaSettings, Topic
from messaging.adapters.kafka.topics import Topics
from messaging.ports import NewRecord
from tests.servers.base import CannotStart
from tests.servers.kafka import KafkaServer
from tests.servers.redis import RedisServer

#: kafka-python leaves sockets to the garbage collector: those that were refused, and sometimes one as it closes.
LEFT_SOCKETS = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(autouse=True)
def _collect_sockets() -> Iterator[None]:
    """Collect them where they are expected."""
    yield
    gc.collect()


@pytest.fixture
def brokers(kafka_server: KafkaServer) -> str:
    """Return the shared Kafka's addresses. Tests keep to a prefix of their own."""
    return kafka_server.environment()["CHAT_KAFKA_BROKERS"]


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """Return the shared Redis' URL."""
    return redis_server.environment()["CHAT_REDIS_URL"]


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """Return a running broker that nobody else uses."""
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    try:
        server.start()
    except CannotStart as problem:
        pytest.skip(f"kafka: {problem}")
    yield server
    server.kill()


def admin(settings: KafkaSettings) -> KafkaAdminClient:
    """Return an admin client, for the test to close."""
    return KafkaAdminClient(**settings.client())


def new_settings(brokers: str, **changes: Any) -> KafkaSettings:
    """Return the settings of an installation that does not exist yet."""
    settings = KafkaSettings(
        tuple(brokers.split(",")),
        prefix=f"test-{uuid4().hex[:8]}-",
        partitions=4,
        replication=1,
        min_isr=1,
        retention=timedelta(hours=1),
        topics=(Topic("t"),),
    )
    return replace(settings, **changes)


def make_topics(settings: KafkaSettings) -> None:
    """Make what is missing and mend what can be mended."""
    with Topics(settings) as topics:
        topics.mend(topics.differences())


@pytest.fixture
def installation(brokers: str) -> Iterator[Callable[..., KafkaSettings]]:
    """Return ``installation(**changes)``: settings whose topics exist until the test is over."""
    made: list[KafkaSettings] = []

    def make(**changes: Any) -> KafkaSettings:
        made.append(new_settings(brokers, **changes))
        make_topics(made[-1])
        return made[-1]

    yield make
    for settings in made:
        with admin(settings) as client:
            client.delete_topics([settings.topic(topic.name) for topic in settings.topics])


@pytest.fixture
async def open_log() -> AsyncIterator[Callable[[KafkaSettings], KafkaMessageLog]]:
    """Return a function that makes a log, which is closed with the test."""
    opened: list[KafkaMessageLog] = []

    def make(settings: KafkaSettings) -> KafkaMessageLog:
        opened.append(KafkaMessageLog(settings))
        return opened[-1]

    yield make
    for log in opened:
        await log.close()


def record(payload: str, *, key: str = "k", dedup: bytes | None = None) -> NewRecord:
    return NewRecord("t", key.encode(), payload.encode(), dedup)
