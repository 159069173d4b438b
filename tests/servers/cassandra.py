"""Cassandra, one node, from Maven's jars."""

import contextlib
import socket
import struct
from typing import BinaryIO

from tests.servers.base import Server
from tests.servers.packages import java, maven_libraries

# Settings that a developer's machine needs otherwise than a cluster; the rest is Cassandra's default.
_CONFIGURATION = """\
cluster_name: chat
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
storage_port: {storage}
native_transport_port: {client}
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{{seeds: "127.0.0.1:{storage}"}}]
# One node owns the ring: nothing to choose, nobody to fetch from.
num_tokens: 1
initial_token: "0"
auto_bootstrap: false
hinted_handoff_enabled: false
# TRUNCATE and DROP in tests leave no copies behind.
auto_snapshot: false
{commit_log}
commitlog_segment_size: 16MiB
commitlog_total_space: 256MiB
memtable_heap_space: 128MiB
memtable_offheap_space: 128MiB
key_cache_size: 16MiB
counter_cache_size: 0MiB
file_cache_size: 64MiB
concurrent_compactors: 1
"""
_LOGGING = """\
<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d %p %c: %m%n</pattern></encoder>
  </appender>
  <root level="ERROR"><appender-ref ref="out"/></root>
</configuration>
"""
# What Cassandra's own start script opens for it in Java 17 (conf/jvm17-server.options).
_EXPORTS = (
    *("java.base/jdk.internal.misc", "java.base/java.lang.ref", "java.sql/java.sql", "jdk.unsupported/sun.misc"),
    *("java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.rmi/sun.rmi.registry", "java.rmi/sun.rmi.server"),
    "jdk.attach/sun.tools.attach",
)
_OPENS = (
    *("java.base/java.lang", "java.base/java.lang.module", "java.base/java.lang.reflect", "java.base/java.io"),
    *("java.base/java.util", "java.base/jdk.internal.loader", "java.base/jdk.internal.math"),
    *("java.base/jdk.internal.module", "java.base/jdk.internal.ref", "java.base/jdk.internal.reflect"),
    *("java.base/jdk.internal.util.jar", "java.base/sun.nio.ch", "jdk.management/com.sun.management.internal"),
)
#: Of Java: those that Cassandra 5.0 is made for.
_RELEASES = (17, 11)
#: Its idle workers look for work every 10 µs, which Linux makes 60; this makes it fewer (docs/performance.md).
_TIMER_SLACK_NS = 1_000_000
_STARTUP, _READY, _QUERY, _RESULT = 0x01, 0x02, 0x07, 0x08
_PROTOCOL, _CONSISTENCY_ONE = 4, 1


class CassandraServer(Server):
    """One node that owns the whole ring. Nobody may manage it from outside (no JMX)."""

    name = "cassandra"
    start_timeout_s = 180.0
    #: One node stands for three here, so what it acknowledged is to survive more than its process: it is on the disk
    #: 10 ms later, and writes wait where the disk is behind. `batch` would be stricter, but every write would wait
    #: for an fsync, which no cluster's does.
    sync_period = "10ms"
    #: Where the node is killed and there is no second one to ask: every write waits for the fsync of its 10 ms.
    waits_for_disk = False

    def install(self) -> None:
        """Download the jars; Java 17 (or 11) has to be there."""
        java(*_RELEASES)
        maven_libraries("cassandra")

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Write the configuration; return the command line."""
        configuration, logging = self.directory / "cassandra.yaml", self.directory / "logback.xml"
        mode, setting = ("group", "group_window") if self.waits_for_disk else ("periodic", "period")
        commit_log = f"commitlog_sync: {mode}\ncommitlog_sync_{setting}: {self.sync_period}"
        configuration.write_text(
            _CONFIGURATION.format(client=self.port(), storage=self.port("storage"), commit_log=commit_log)
        )
        logging.write_text(_LOGGING)
        return [
            *("sh", "-c", f'echo {_TIMER_SLACK_NS} >/proc/self/timerslack_ns; exec "$@"', "cassandra"),
            java(*_RELEASES),
            *("-Xms256m", "-Xmx1g", "-Xss256k", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"),
            # The quick compiler alone: in its first minutes the other takes more of the processor than all the rest.
            "-XX:TieredStopAtLevel=1",
            *("-XX:+PerfDisableSharedMem", "-Djava.net.preferIPv4Stack=true", "-Djdk.attach.allowAttachSelf=true"),
            "-Dio.netty.tryReflectionSetAccessible=true",
            *(argument for package in _EXPORTS for argument in ("--add-exports", f"{package}=ALL-UNNAMED")),
            *(argument for package in _OPENS for argument in ("--add-opens", f"{package}=ALL-UNNAMED")),
            f"-Dcassandra.config={configuration.as_uri()}",
            f"-Dlogback.configurationFile={logging.as_uri()}",
            f"-Dcassandra.storagedir={self.directory / 'data'}",
            "-Dcassandra-foreground=yes",
            # Alone: nobody's gossip to wait for, no other node that might be making the first role.
            *("-Dcassandra.ring_delay_ms=0", "-Dcassandra.skip_wait_for_gossip_to_settle=0"),
            "-Dcassandra.superuser_setup_delay_ms=0",
            *("-cp", f"{maven_libraries('cassandra')}/*", "org.apache.cassandra.service.CassandraDaemon"),
        ], {}

    def answers(self) -> bool:
        """Return whether it answers a query."""
        # By hand: the driver would start threads, retry and log, and this is asked ten times a second during a start.
        query = b"SELECT release_version FROM system.local"
        with (
            contextlib.suppress(OSError, struct.error),
            socket.create_connection(("127.0.0.1", self.port()), timeout=2) as connection,
        ):
            answers = connection.makefile("rb")
            connection.sendall(_frame(_STARTUP, struct.pack(">h", 1) + _text("CQL_VERSION") + _text("3.0.0")))
            if _answer(answers) == _READY:
                long_query = struct.pack(">i", len(query)) + query
                connection.sendall(_frame(_QUERY, long_query + struct.pack(">hB", _CONSISTENCY_ONE, 0)))
                return _answer(answers) == _RESULT
        return False

    def environment(self) -> dict[str, str]:
        """Return how the project reaches it, and what it can promise."""
        return {
            "CHAT_CASSANDRA_HOSTS": ",".join(self.addresses()),
            "CHAT_CASSANDRA_KEYSPACE": "chat",
            "CHAT_CASSANDRA_REPLICATION": "datacenter1:1",
        }


def _frame(opcode: int, body: bytes) -> bytes:
    return struct.pack(">BBhBi", _PROTOCOL, 0, 0, opcode, len(body)) + body


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def _answer(stream: BinaryIO) -> int:
    """Read one frame; return its opcode."""
    _version, _flags, _stream, opcode, length = struct.unpack(">BBhBi", stream.read(9))
    stream.read(length)
    return int(opcode)
