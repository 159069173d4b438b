"""How this process reaches Cassandra: the engine's settings and its one session (docs/decisions/0016).

django-cassandra-engine registers the connection when Django starts, without touching the network, and makes the
session when somebody asks for it. What it leaves open is closed here: threads that ask at once, and a Cassandra that
is away at the first call.
"""

import atexit
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from cassandra import ConsistencyLevel
from cassandra.cluster import ExecutionProfile, Session
from cassandra.cqlengine import connection as engine
from cassandra.policies import DCAwareRoundRobinPolicy, ExponentialReconnectionPolicy, RetryPolicy, TokenAwarePolicy
from cassandra.query import tuple_factory

from messaging.ports import StoreUnavailable

#: In ``DATABASES``.
ALIAS: Final = "cassandra"
#: Ours, beside the engine's own, whose rows are dictionaries.
PROFILE: Final = "chat"

REQUEST_TIMEOUT_S: Final = 2.0
_CONNECT_TIMEOUT_S: Final = 3.0
#: After a try that failed, callers are told so for this long without another.
_PAUSE_S: Final = 1.0


class IdempotentRetryPolicy(RetryPolicy):  # type: ignore[misc]  # the driver has no types
    """Tries a statement that may be repeated once more; any other fails at once, its outcome unknown."""

    def on_read_timeout(self, query: Any, consistency: Any, *args: Any, retry_num: int, **info: Any) -> Any:
        """Try once more, at the same coordinator."""
        return self._again(query, self.RETRY, consistency, retry_num)

    def on_write_timeout(self, query: Any, consistency: Any, *args: Any, retry_num: int, **info: Any) -> Any:
        """Try once more, at the same coordinator."""
        return self._again(query, self.RETRY, consistency, retry_num)

    def on_unavailable(self, query: Any, consistency: Any, *args: Any, retry_num: int, **info: Any) -> Any:
        """Try once more, at another coordinator: this one may be cut off."""
        return self._again(query, self.RETRY_NEXT_HOST, consistency, retry_num)

    def on_request_error(self, query: Any, consistency: Any, error: Any, retry_num: int) -> Any:
        """Try once more, at another coordinator: the connection broke, or the node is overloaded."""
        return self._again(query, self.RETRY_NEXT_HOST, consistency, retry_num)

    def _again(self, query: Any, how: int, consistency: Any, retry_num: int) -> tuple[int, Any]:
        if retry_num == 0 and query.is_idempotent:
            return how, consistency
        return self.RETHROW, None


def tls_context(env: Mapping[str, Any]) -> ssl.SSLContext:
    """Return how connections are encrypted (CHAT_CASSANDRA_CA_FILE and so on): never with a node that is not proven.

    A certificate has to name the address that the driver calls: for nodes that it learns of, the one that they
    broadcast.
    """
    context = ssl.create_default_context(cafile=env["CHAT_CASSANDRA_CA_FILE"] or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if env["CHAT_CASSANDRA_CERT_FILE"]:
        context.load_cert_chain(env["CHAT_CASSANDRA_CERT_FILE"], env["CHAT_CASSANDRA_KEY_FILE"])
    return context


def database_settings(env: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of ``DATABASES`` for the environment's CHAT_CASSANDRA_ variables."""
    nodes: list[tuple[str, int]] = env["CHAT_CASSANDRA_HOSTS"]
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(local_dc=env["CHAT_CASSANDRA_LOCAL_DC"])),
        retry_policy=IdempotentRetryPolicy(),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
        request_timeout=REQUEST_TIMEOUT_S,
        row_factory=tuple_factory,
    )
    return {
        "ENGINE": "django_cassandra_engine",
        "NAME": env["CHAT_CASSANDRA_KEYSPACE"],
        "HOST": ",".join(host for host, _ in nodes),
        "USER": env["CHAT_CASSANDRA_USER"],
        "PASSWORD": env["CHAT_CASSANDRA_PASSWORD"],
        "OPTIONS": {
            "connection": {
                "lazy_connect": True,
                "retry_connect": True,
                "port": nodes[0][1],
                # 5 adds checksums that the driver computes in Python: half as much CPU again per row, measured.
                "protocol_version": 4,
                "compression": False,
                "execution_profiles": {PROFILE: profile},
                "reconnection_policy": ExponentialReconnectionPolicy(0.5, 5.0),
                "connect_timeout": _CONNECT_TIMEOUT_S,
                "control_connection_timeout": _CONNECT_TIMEOUT_S,
                # A node that hangs is noticed while its connection is idle as well.
                "idle_heartbeat_interval": 10,
                "idle_heartbeat_timeout": 5,
                "ssl_context": tls_context(env) if env["CHAT_CASSANDRA_TLS"] else None,
            }
        },
    }


class EngineSession:
    """Call it for the engine's session of ``alias``, which is made at the first call. Used from many threads.

    While Cassandra is away a call raises StoreUnavailable: after one try of a few seconds, or, for a second after
    such a try and for callers who would wait for it, at once. A session that was made recovers by itself.
    """

    def __init__(self, alias: str = ALIAS) -> None:
        self._alias = alias
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._next_try = 0.0

    def __call__(self) -> Session:
        """Return the session. Raises StoreUnavailable."""
        session = self._session
        if session is not None and not session.is_shutdown:
            return session
        # One thread connects; the others are not to wait for it one by one.
        if not self._lock.acquire(timeout=_CONNECT_TIMEOUT_S):
            raise StoreUnavailable("connecting to Cassandra takes long")
        try:
            session = self._session
            if session is not None and not session.is_shutdown:
                return session
            if time.monotonic() < self._next_try:
                raise StoreUnavailable("Cassandra cannot be reached")
            self._session = session = self._connect()
            return session
        finally:
            self._lock.release()

    def _connect(self) -> Session:
        try:
            session = engine.get_session(self._alias)
            if session is None:
                # The engine gives up for good after any other failure than "no host answers".
                engine.get_connection(self._alias).lazy_connect = True
                session = engine.get_session(self._alias)
        except Exception as error:
            self._next_try = time.monotonic() + _PAUSE_S
            raise StoreUnavailable("Cassandra cannot be reached") from error
        # How long preparing a statement may take; there is no other way to say it beside execution profiles.
        session._default_timeout = REQUEST_TIMEOUT_S
        # Before the driver's own handlers, which end its event loop under open connections: 5 s and a warning.
        atexit.register(engine.unregister_connection, self._alias)
        return session
