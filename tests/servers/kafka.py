"""Kafka (KRaft: no ZooKeeper) from Maven's jars: one broker, or three for tests of faults."""

import base64
import contextlib
import socket
import struct
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

from tests.servers.base import CannotStart, Cluster, Server, locked
from tests.servers.packages import java, maven_libraries

_LOGGING = """\
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c: %m%n
rootLogger.level=error
rootLogger.appenderRef.out.ref=out
"""
#: Of Java.
_RELEASES = (17, 21, 25)
_METADATA, _METADATA_VERSION = 3, 1


class KafkaServer(Server):
    """One broker that is its own controller. Alone, or one of ``quorum``, under one cluster id."""

    name = "kafka"
    start_timeout_s = 240.0
    #: The quick compiler alone: the other would take a good part of a core for the first minutes.
    tuning: tuple[str, ...] = ("-Xmx512m", "-XX:TieredStopAtLevel=1")

    def __init__(self, directory: Path, *, node: int = 1) -> None:
        super().__init__(directory)
        self.node = node
        self.quorum: Sequence[KafkaServer] = [self]

    def install(self) -> None:
        """Download the jars; Java 17 or newer has to be there."""
        java(*_RELEASES)
        maven_libraries("kafka")

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Write the configuration, format the storage the first time; return the command line."""
        properties = self.directory / "server.properties"
        properties.write_text("".join(f"{name}={value}\n" for name, value in self._properties().items()))
        (self.directory / "log4j2.properties").write_text(_LOGGING)
        if not (self.directory / "data" / "meta.properties").exists():
            arguments = ("format", f"--cluster-id={self._cluster_id()}", "--config", properties)
            command = self._java("-Xmx128m", "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", *arguments)
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            if done.returncode:
                raise CannotStart(f"the storage of {self.name} could not be formatted:\n{done.stdout}{done.stderr}")
        return self._java(*self.tuning, "kafka.Kafka", properties), {}

    def answers(self) -> bool:
        """Return whether it answers a metadata request with itself among the brokers."""
        return self.node in self.brokers()

    def brokers(self) -> set[int]:
        """Return the node ids of the brokers that it believes alive; empty where it does not answer."""
        # By hand: a client would start threads, retry and log, and this is asked ten times a second during a start.
        request = struct.pack(">hhih4si", _METADATA, _METADATA_VERSION, 0, 4, b"chat", 0)
        with (
            contextlib.suppress(OSError, struct.error),
            socket.create_connection(("127.0.0.1", self.port()), timeout=2) as connection,
        ):
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.makefile("rb")
            _size, _correlation, count = struct.unpack(">iii", answer.read(12))
            found = set()
            for _ in range(count):
                node, host_bytes = struct.unpack(">ih", answer.read(6))
                answer.read(host_bytes)
                _port, rack_bytes = struct.unpack(">ih", answer.read(6))
                answer.read(max(0, rack_bytes))
                found.add(node)
            return found
        return set()

    def environment(self) -> dict[str, str]:
        """Return how the project reaches it, and what it can promise."""
        return _environment(self.addresses(), replication=1, min_isr=1)

    def _properties(self) -> dict[str, object]:
        """Return the broker's settings. What a topic may set for itself is left as Kafka has it."""
        replicas = len(self.quorum)
        listeners = f"CLIENTS://127.0.0.1:{self.port()},CONTROLLERS://127.0.0.1:{self.port('controller')}"
        return {
            "process.roles": "broker,controller",
            "node.id": self.node,
            "controller.quorum.voters": ",".join(f"{m.node}@127.0.0.1:{m.port('controller')}" for m in self.quorum),
            "listeners": listeners,
            "controller.listener.names": "CONTROLLERS",
            "inter.broker.listener.name": "CLIENTS",
            "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLERS:PLAINTEXT",
            "log.dirs": self.directory / "data",
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": 8,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": min(2, replicas),
            "transaction.state.log.num.partitions": 4,
            # Retention deletes whole segments; with small ones there is something to see.
            "log.segment.bytes": 16 << 20,
            # A consumer alone in its group does not wait for others.
            "group.initial.rebalance.delay.ms": 0,
            # On a busy machine Java's first minute is slow: brokers give up their registration after one, and the
            # controllers' quorum would elect again and again.
            "initial.broker.registration.timeout.ms": 230_000,
            "controller.quorum.fetch.timeout.ms": 5000,
            "controller.quorum.request.timeout.ms": 5000,
            "controller.quorum.election.timeout.ms": 2000,
            # A broker that was killed is missed after 5 s instead of 9, so tests of faults are over sooner.
            "broker.session.timeout.ms": 5000,
            "broker.heartbeat.interval.ms": 1000,
        }

    def _java(self, *arguments: object) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self.directory / 'log4j2.properties'}"
        libraries = f"{maven_libraries('kafka')}/*"
        command = [java(*_RELEASES), "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", logging, "-cp", libraries]
        return [*command, *map(str, arguments)]

    def _cluster_id(self) -> str:
        """Return the id that all of ``quorum`` share, kept by the first: a stranger on an old port is not taken in."""
        file = self.quorum[0].directory / "cluster.id"
        with locked(file.with_suffix(".lock")):
            if not file.exists():
                file.write_text(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
            return file.read_text()


class KafkaCluster(Cluster[KafkaServer]):
    """Three brokers, one of which may be missing."""

    name = "kafka-cluster"
    start_timeout_s = 30.0

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.members = [KafkaServer(self.directory / str(node), node=node) for node in (1, 2, 3)]
        for member in self.members:
            member.quorum = self.members
            # Three machines on one: with the quick compiler alone they are up in half the time.
            member.tuning = ("-Xmx384m", "-XX:TieredStopAtLevel=1")

    def joined(self) -> bool:
        """Return whether every broker knows all of them."""
        return all(len(member.brokers()) == len(self.members) for member in self.members)

    def environment(self) -> dict[str, str]:
        """Return how the project reaches it, and what it can promise."""
        return _environment(self.addresses(), replication=3, min_isr=2)


def _environment(brokers: Sequence[str], *, replication: int, min_isr: int) -> dict[str, str]:
    return {
        "CHAT_KAFKA_BROKERS": ",".join(brokers),
        "CHAT_KAFKA_REPLICATION": str(replication),
        "CHAT_KAFKA_MIN_ISR": str(min_isr),
    }
