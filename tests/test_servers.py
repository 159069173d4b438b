"""The servers that other tests lean on: each starts, survives kill -9 on its port, and leaves nothing behind."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cassandra.cluster import Cluster
from django.conf import settings
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from redis.cluster import RedisCluster as RedisClusterClient

from tests.servers.base import Service, running, wait_until
from tests.servers.cassandra import CassandraServer
from tests.servers.kafka import KafkaCluster, KafkaServer
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisCluster, RedisServer

pytestmark = [pytest.mark.process, pytest.mark.slow]

Start = Callable[[type[Any]], Any]


def crash(service: Service) -> None:
    """Kill it, start it again, and see that clients find it where it was."""
    addresses = service.addresses()
    service.kill()
    assert not service.healthy()
    for address in addresses:
        host, port = address.split(":")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)), timeout=5).close()
    service.start()
    assert service.healthy()
    assert service.addresses() == addresses


def append(brokers: list[str], body: bytes, *, replicas: int) -> None:
    with KafkaAdminClient(bootstrap_servers=brokers) as admin:
        if "kept" not in admin.list_topics():
            insync = {"min.insync.replicas": max(1, replicas - 1)}
            admin.create_topics([NewTopic("kept", 1, replicas, topic_configs=insync)])
    producer = KafkaProducer(bootstrap_servers=brokers, acks="all")
    producer.send("kept", body).get(timeout=20)
    producer.close()


def read(brokers: list[str], count: int) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=brokers, auto_offset_reset="earliest", consumer_timeout_ms=20_000)
    consumer.assign([TopicPartition("kept", 0)])
    found = [record.value for _, record in zip(range(count), consumer, strict=False)]
    consumer.close()
    return found


def test_redis_comes_back_empty(own_service: Start) -> None:
    redis = own_service(RedisServer)
    with redis.client() as client:
        client.set("kept", "no")
    crash(redis)
    with redis.client() as client:
        assert client.get("kept") is None


def test_redis_cluster_comes_back_joined(own_service: Start) -> None:
    cluster = own_service(RedisCluster)
    with RedisClusterClient("127.0.0.1", cluster.members[0].port()) as client:
        for number in range(32):
            client.set(f"key-{number}", number)
    sizes = []
    for member in cluster.members:
        with member.client() as client:
            sizes.append(client.dbsize())
    assert sum(sizes) == 32
    assert all(sizes)
    crash(cluster)


def test_kafka_keeps_what_it_acknowledged(own_service: Start) -> None:
    kafka = own_service(KafkaServer)
    append(kafka.addresses(), b"before", replicas=1)
    crash(kafka)
    append(kafka.addresses(), b"after", replicas=1)
    assert read(kafka.addresses(), 2) == [b"before", b"after"]


def test_kafka_cluster_goes_on_without_one_broker(own_service: Start) -> None:
    cluster = own_service(KafkaCluster)
    append(cluster.addresses(), b"all", replicas=3)
    cluster.members[0].kill()
    others = cluster.members[1:]
    # Until the controllers miss it, which takes longer where it led them, clients are sent to it as well, and the
    # admin client does not try another.
    assert wait_until(lambda: all(member.brokers() == {2, 3} for member in others), timeout_s=60)
    left = [address for member in others for address in member.addresses()]
    append(left, b"two of three", replicas=3)
    assert not cluster.healthy()
    cluster.members[0].start()
    assert wait_until(cluster.healthy, timeout_s=20)
    crash(cluster)
    assert read(cluster.addresses(), 2) == [b"all", b"two of three"]


def test_cassandra_keeps_what_it_acknowledged(own_service: Start) -> None:
    cassandra = own_service(CassandraServer)
    replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    with Cluster(["127.0.0.1"], port=cassandra.port()) as cluster:
        session = cluster.connect()
        session.execute(f"CREATE KEYSPACE kept WITH replication = {replication}")
        session.execute("CREATE TABLE kept.kept (id int PRIMARY KEY, body text)")
        session.execute("INSERT INTO kept.kept (id, body) VALUES (1, 'before')")
    crash(cassandra)
    with Cluster(["127.0.0.1"], port=cassandra.port()) as cluster:
        assert [row.body for row in cluster.connect().execute("SELECT body FROM kept.kept")] == ["before"]


def test_postgres_keeps_what_it_acknowledged(own_service: Start) -> None:
    postgres = own_service(PostgresServer)
    url = postgres.create_database("kept")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'before' AS body")
    # An open session, as a crash finds it.
    connection = psycopg.connect(url)
    connection.execute("INSERT INTO kept VALUES ('never committed')")
    crash(postgres)
    connection.close()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT body FROM kept").fetchall() == [("before",)]
    assert postgres.environment()["CHAT_DATABASE_URL"].endswith("/chat")


def test_a_frozen_server_is_unhealthy_and_a_start_replaces_it(own_service: Start) -> None:
    redis = own_service(RedisServer)
    before = redis.pid()
    redis.pause()
    assert not redis.healthy()
    redis.resume()
    assert redis.healthy()
    redis.start()
    assert redis.pid() == before
    redis.pause()
    redis.start()
    assert redis.healthy()
    assert redis.pid() != before


def test_a_number_that_went_to_another_process_is_left_alone(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path / "redis")
    redis.directory.mkdir()
    (redis.directory / "server.pid").write_text(f"{os.getpid()} 1")
    assert redis.pid() is None
    redis.stop()


# What follows looks at commands from outside, as people and continuous integration run them.


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tests.servers", *arguments, f"--directory={tmp_path}"],
            cwd=settings.BASE_DIR,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    yield run
    run("stop")


def test_the_command_starts_once_and_says_how_to_reach_it(command: Callable[..., Any], tmp_path: Path) -> None:
    assert command("status", "redis").returncode == 1
    first = command("start", "redis")
    assert first.returncode == 0, first.stderr
    redis = RedisServer(tmp_path / "redis")
    assert first.stdout == f"export CHAT_REDIS_URL=redis://127.0.0.1:{redis.port()}/0\n"
    pid = redis.pid()
    assert command("start", "redis").stdout == first.stdout
    assert redis.pid() == pid
    assert command("env", "redis").stdout == first.stdout
    assert command("status", "redis").returncode == 0
    assert command("stop").returncode == 0
    assert redis.pid() is None


def test_the_command_says_what_could_not_be_started(command: Callable[..., Any]) -> None:
    done = command("start", "redis", PATH="/nowhere")
    assert done.returncode == 1
    assert "redis: could not be started. redis-server is missing; as root on Debian: apt-get install" in done.stderr
    assert done.stdout == ""
    assert command("start", "rebus").returncode == 2


_USERS = """
import os, time
from pathlib import Path

def use(server, who):
    (Path(__file__).parent / f"{who}.pid").write_text((server.directory / "server.pid").read_text())
    (Path(__file__).parent / f"{who}.directory").write_text(str(server.directory))

def test_one(redis_server):
    use(redis_server, "one")

def test_two(redis_server):
    use(redis_server, "two")
    while os.environ.get("STAY"):
        time.sleep(0.1)
"""


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return ``start(*arguments, **environment)``: a test session in which two tests use one Redis."""
    (tmp_path / "test_users.py").write_text(_USERS)
    started = []

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        plain = ["-p", "tests.servers.fixtures", "-p", "no:django", "-c", "/dev/null", "-p", "no:cacheprovider"]
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-rs", *plain, f"--rootdir={tmp_path}", str(tmp_path), *arguments],
            cwd=settings.BASE_DIR,
            env={name: value for name, value in os.environ.items() if name != "CHAT_TEST_SERVICES"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_workers_share_a_server_that_ends_with_the_session(session: Callable[..., Any], tmp_path: Path) -> None:
    done = session("-n", "2")
    output, _ = done.communicate(timeout=60)
    assert done.returncode == 0, output
    assert (tmp_path / "one.pid").read_text() == (tmp_path / "two.pid").read_text()
    assert running(tmp_path / "one.pid") is None
    assert not Path((tmp_path / "one.directory").read_text()).parent.exists()


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_server_ends_with_a_session_that_was_killed(
    session: Callable[..., Any], tmp_path: Path, workers: str
) -> None:
    killed = session("-n", workers, STAY="1")
    assert wait_until(lambda: (tmp_path / "two.directory").exists(), timeout_s=30)
    assert running(tmp_path / "two.pid") is not None
    killed.kill()
    assert wait_until(lambda: running(tmp_path / "two.pid") is None, timeout_s=10)
    directory = Path((tmp_path / "two.directory").read_text()).parent
    assert wait_until(lambda: not directory.exists(), timeout_s=10)


def test_a_running_server_is_used_and_left_running(
    session: Callable[..., Any], own_service: Start, tmp_path: Path
) -> None:
    redis = own_service(RedisServer)
    (tmp_path / "redis").symlink_to(redis.directory)
    done = session(CHAT_TEST_SERVICES=str(tmp_path))
    output, _ = done.communicate(timeout=60)
    assert done.returncode == 0, output
    assert (tmp_path / "one.directory").read_text() == str(tmp_path / "redis")
    assert redis.healthy()


def test_a_server_that_is_not_to_be_had_leaves_its_tests_out_with_the_reason(
    session: Callable[..., Any], tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "setsid", "cut"):
        (programs / name).symlink_to(str(shutil.which(name)))
    output, _ = session(PATH=str(programs)).communicate(timeout=60)
    assert "2 skipped" in output
    assert "redis-server is missing" in output
