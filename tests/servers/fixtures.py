"""Session fixtures for real servers: started at first use, shared by all tests and workers, gone after the session.

Where a server is not to be had, its tests are left out, with the reason; one that fails to start fails them. With
CHAT_TEST_SERVICES=DIRECTORY, what runs there (``make services``: ``var/services``) is used and left running. Tests
share a server, so they keep to names of their own; one that harms a server takes ``own_service``.
"""

import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.servers.base import Missing, Service, kill_all, launch, locked, running
from tests.servers.cassandra import CassandraServer
from tests.servers.kafka import KafkaCluster, KafkaServer
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisCluster, RedisServer

_DIRECTORY = pytest.StashKey[Path]()
_OWNER = pytest.StashKey[int]()
_ROOT = Path(__file__).parents[2]

S = TypeVar("S", bound=Service)


def pytest_configure(config: pytest.Config) -> None:
    """Choose the session's directory; a worker learns it from the process that started it."""
    handed_down = getattr(config, "workerinput", None)
    if handed_down is None:
        config.stash[_DIRECTORY] = Path(tempfile.mkdtemp(prefix="chat-services-"))
        # The account that PostgreSQL runs as under root has to get through.
        config.stash[_DIRECTORY].chmod(0o711)
        config.stash[_OWNER] = os.getpid()
    else:
        config.stash[_DIRECTORY] = Path(handed_down["services_directory"])
        config.stash[_OWNER] = handed_down["services_owner"]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist."""
    node.workerinput["services_directory"] = str(node.config.stash[_DIRECTORY])
    node.workerinput["services_owner"] = node.config.stash[_OWNER]


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the session's servers."""
    if config.stash.get(_OWNER, None) == os.getpid():
        kill_all(config.stash[_DIRECTORY])
        shutil.rmtree(config.stash[_DIRECTORY], ignore_errors=True)


def _start(config: pytest.Config, service: S) -> S:
    directory, owner = config.stash[_DIRECTORY], config.stash[_OWNER]
    with locked(directory / "watchdog.lock"):
        if running(directory / "watchdog.pid") is None:
            command = [sys.executable, "-m", "tests.servers.watchdog", str(owner), str(directory)]
            launch(command, directory / "watchdog.pid", log=directory / "watchdog.log", cwd=_ROOT)
    try:
        service.start()
    except Missing as problem:
        pytest.skip(f"{service.name}: {problem}")
    return service


def _shared(config: pytest.Config, kind: type[S]) -> S:
    given = os.environ.get("CHAT_TEST_SERVICES")
    if given:
        service = kind(Path(given) / kind.name)
        if service.healthy():
            return service
    return _start(config, kind(config.stash[_DIRECTORY] / kind.name))


@pytest.fixture(scope="session")
def redis_server(pytestconfig: pytest.Config) -> RedisServer:
    """Return a Redis."""
    return _shared(pytestconfig, RedisServer)


@pytest.fixture(scope="session")
def redis_cluster(pytestconfig: pytest.Config) -> RedisCluster:
    """Return a Redis Cluster of three nodes."""
    return _shared(pytestconfig, RedisCluster)


@pytest.fixture(scope="session")
def kafka_server(pytestconfig: pytest.Config) -> KafkaServer:
    """Return a Kafka of one broker."""
    return _shared(pytestconfig, KafkaServer)


@pytest.fixture(scope="session")
def kafka_cluster(pytestconfig: pytest.Config) -> KafkaCluster:
    """Return a Kafka of three brokers."""
    return _shared(pytestconfig, KafkaCluster)


@pytest.fixture(scope="session")
def cassandra_server(pytestconfig: pytest.Config) -> CassandraServer:
    """Return a Cassandra of one node."""
    return _shared(pytestconfig, CassandraServer)


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> PostgresServer:
    """Return a PostgreSQL; its user may create databases."""
    return _shared(pytestconfig, PostgresServer)


@pytest.fixture
def own_service(pytestconfig: pytest.Config) -> Iterator[Callable[[Callable[[Path], S]], S]]:
    """Return ``start(kind)``: a service of this test's own, to kill and to freeze; it is gone after the test."""
    home = Path(tempfile.mkdtemp(prefix="own-", dir=pytestconfig.stash[_DIRECTORY]))
    home.chmod(0o711)
    numbers = itertools.count(1)
    yield lambda kind: _start(pytestconfig, kind(home / str(next(numbers))))
    kill_all(home)
    shutil.rmtree(home)
