"""The logs on which the contract suite runs. A new adapter adds a factory to ``FACTORIES`` and a case to ``open_log``.

Where a log is, is plain data, so that another process can be told.
"""

import contextlib
import gc
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient

from messaging.adapters.embedded.log import SqliteMessageLog
from messaging.adapters.kafka.log import KafkaMessageLog
from messaging.adapters.kafka.settings import KafkaSettings, Topic
from messaging.adapters.kafka.topics import Topics
from messaging.ports import MessageLog

#: Kind, then what that kind needs.
Where = list[str]


def open_log(where: Where) -> MessageLog:
    """Open a log; twice, as two processes would."""
    match where:
        case ["sqlite", path, partitions]:
            return SqliteMessageLog(Path(path), partitions=int(partitions))
        case ["kafka", *_]:
            return KafkaMessageLog(kafka_settings(where))
    raise ValueError(where)


def kafka_settings(where: Where) -> KafkaSettings:
    """Return the settings of a log on Kafka."""
    _kind, brokers, redis_url, prefix = where
    return KafkaSettings(
        tuple(brokers.split(",")),
        prefix=prefix,
        partitions=4,
        replication=1,
        min_isr=1,
        retention=timedelta(hours=1),
        redis_url=redis_url,
        topics=(Topic("t"), Topic("u")),
    )


@contextlib.contextmanager
def _sqlite(partitions: int, folder: Path) -> Iterator[Where]:
    yield ["sqlite", str(folder / "log.sqlite3"), str(partitions)]


@contextlib.contextmanager
def _kafka(request: pytest.FixtureRequest) -> Iterator[Where]:
    brokers = request.getfixturevalue("kafka_server").environment()["CHAT_KAFKA_BROKERS"]
    redis_url = request.getfixturevalue("redis_server").environment()["CHAT_REDIS_URL"]
    where = ["kafka", brokers, redis_url, f"test-{uuid4().hex[:8]}-"]
    settings = kafka_settings(where)
    with Topics(settings) as topics:
        topics.mend(topics.differences())
    yield where
    with KafkaAdminClient(**settings.client()) as admin:
        admin.delete_topics([settings.topic(topic.name) for topic in settings.topics])
    # Here, where it is no error that kafka-python leaves a socket to the collector now and then.
    gc.collect()


FACTORIES: dict[str, Callable[[pytest.FixtureRequest, Path], contextlib.AbstractContextManager[Where]]] = {
    "sqlite-1": lambda request, folder: _sqlite(1, folder),
    "sqlite-4": lambda request, folder: _sqlite(4, folder),
    "kafka": lambda request, folder: _kafka(request),
}
PARAMETERS = [
    pytest.param(name, marks=pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))
    if name == "kafka"
    else name
    for name in FACTORIES
]
