"""The engines that a drill's installation runs on, as servers that it may stop."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tests.servers.base import Service
from tests.servers.cassandra import CassandraServer
from tests.servers.kafka import KafkaCluster, KafkaServer
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer


@dataclass(frozen=True, slots=True)
class Engines:
    """One of each, running."""

    kafka: KafkaServer | KafkaCluster
    cassandra: CassandraServer
    redis: RedisServer
    postgres: PostgresServer

    def environment(self) -> dict[str, str]:
        """Return the CHAT_ variables that name them, with a new database of PostgreSQL."""
        return {
            **self.kafka.environment(),
            **self.cassandra.environment(),
            # Tests use the first. Keys have no installation in their names, so one at a time uses this.
            "CHAT_REDIS_URL": self.redis.environment()["CHAT_REDIS_URL"].removesuffix("/0") + "/3",
            "CHAT_DATABASE_URL": self.postgres.create_database(f"t{uuid4().hex[:12]}"),
        }

    @property
    def services(self) -> tuple[Service, ...]:
        """All of them."""
        return self.kafka, self.cassandra, self.redis, self.postgres


class _Durable(CassandraServer):
    """A node that has what it acknowledged, also when it is killed in that instant."""

    waits_for_disk = True


def start(directory: Path, *, brokers: int = 1, get: Callable[[Service], None] = lambda it: it.start()) -> Engines:
    """Start one of each under ``directory``. Raises Missing where one is not to be had."""
    directory.mkdir(parents=True, exist_ok=True)
    # PostgreSQL's account, where this is root, has to get through.
    directory.chmod(0o711)
    engines = Engines(
        KafkaServer(directory / "kafka") if brokers == 1 else KafkaCluster(directory / "kafka-cluster"),
        _Durable(directory / "cassandra"),
        RedisServer(directory / "redis"),
        PostgresServer(directory / "postgres"),
    )
    with ThreadPoolExecutor(len(engines.services)) as threads:
        for started in [threads.submit(get, service) for service in engines.services]:
            started.result()
    return engines
