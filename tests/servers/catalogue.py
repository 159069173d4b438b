"""Which services there are."""

from pathlib import Path

from tests.servers.base import Service
from tests.servers.cassandra import CassandraServer
from tests.servers.kafka import KafkaCluster, KafkaServer
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisCluster, RedisServer

_ALL: tuple[type[Service], ...] = (
    RedisServer,
    PostgresServer,
    KafkaServer,
    CassandraServer,
    RedisCluster,
    KafkaCluster,
)
SERVICES = {service.name: service for service in _ALL}
#: What `make services` starts: one of each kind.
USUAL = ("redis", "postgres", "kafka", "cassandra")


def named(name: str, directory: Path) -> Service:
    """Return the service ``name`` among those of ``directory``."""
    return SERVICES[name](directory / name)
