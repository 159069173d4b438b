"""Statements on Cassandra: prepared, many at once, bounded in number and time (docs/decisions/0016).

Texts name tables as ``{ks}.table``. Whatever fails because Cassandra does not answer is StoreUnavailable; what
fails because a statement is wrong is a defect, and passes as it is.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from cassandra import ConsistencyLevel, DriverException, RequestValidationException
from cassandra.cluster import NoHostAvailable, Session
from cassandra.connection import ConnectionBusy, ConnectionException
from cassandra.pool import NoConnectionsAvailable
from cassandra.protocol import ErrorMessage
from cassandra.query import BatchStatement, BatchType, BoundStatement, PreparedStatement
from prometheus_client import Counter

from messaging.adapters.cassandra.connection import PROFILE
from messaging.ports import StoreUnavailable

T = TypeVar("T")
Row = tuple[Any, ...]
#: A statement's text and what is bound to it.
Work = tuple[str, Sequence[Any]]

FAILURES = Counter("chat_cassandra_failures_total", "Statements that Cassandra did not answer in time.", ["error"])

#: Requests of one call that are on their way at once.
_WINDOW: Final = 64
#: Of one batch; Cassandra warns beyond ten partitions or 5 KiB, and refuses 50 KiB.
_BATCH_PARTITIONS: Final = 10
_BATCH_ROWS: Final = 60
_BATCH_BYTES: Final = 4_000
#: What a row weighs besides its values: names, timestamps.
_ROW_BYTES: Final = 40
#: Keys that one statement asks for with IN.
_KEYS: Final = 20

_NO_ANSWER: Final = (
    DriverException,
    NoHostAvailable,
    ConnectionException,
    ConnectionBusy,
    NoConnectionsAvailable,
    ErrorMessage,
)


def chunks(items: Sequence[T], size: int = _KEYS) -> Iterator[Sequence[T]]:
    """Yield ``items`` in lists of at most ``size``: by default, the keys of one IN."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def asking(text: str, keys: Sequence[Any], *after: Any) -> list[Work]:
    """Return the statements that ask for all ``keys``, whose list is the first parameter of ``text`` (IN)."""
    return [(text, (list(chunk), *after)) for chunk in chunks(keys)]


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except RequestValidationException:
        raise
    except _NO_ANSWER as error:
        FAILURES.labels(type(error).__name__).inc()
        raise StoreUnavailable(f"Cassandra does not answer: {type(error).__name__}") from error


class CassandraSession:
    """One process's statements on one keyspace. Used from many threads.

    ``connect`` returns the driver's session; it is asked each time, and with a new one statements are prepared anew.
    """

    def __init__(self, connect: Callable[[], Session], *, keyspace: str) -> None:
        self.keyspace = keyspace
        self._connect = connect
        self._driver: _Driver | None = None

    # --- reading ------------------------------------------------------------------------------

    def rows(self, text: str, params: Sequence[Any]) -> list[Row]:
        """Return all rows of one statement."""
        return self.each([(text, params)])[0]

    def each(self, work: Sequence[Work]) -> list[list[Row]]:
        """Return the rows of each statement, in the order of ``work``; they run at once, in a window."""
        if not work:
            return []
        with _translated():
            driver = self._open()
            return self._run(driver, (driver.bound(text, params) for text, params in work))

    def many(self, text: str, keys: Sequence[Any], *after: Any) -> list[Row]:
        """Return the rows of a statement whose first parameter is a list of keys (IN), over all ``keys``."""
        return [row for rows in self.each(asking(text, keys, *after)) for row in rows]

    def linear(self, text: str, params: Sequence[Any]) -> list[Row]:
        """Return all rows of one partition as conditional changes left it; one that is under way is finished first."""
        with _translated():
            driver = self._open()
            bound = driver.bound(text, params)
            bound.consistency_level = ConsistencyLevel.LOCAL_SERIAL
            return self._run(driver, [bound])[0]

    # --- writing ------------------------------------------------------------------------------

    def write(self, work: Iterable[Work]) -> None:
        """Write rows, in no particular order. Each must be such that writing it twice changes nothing.

        They travel in batches of a few rows that the same node owns, a quarter of the work of single rows on either
        side, measured. No batch is a transaction: on failure any part of ``work`` may be written.
        """
        with _translated():
            driver = self._open()
            rows = [driver.bound(text, params) for text, params in work]
            self._run(driver, (_batch(some) for some in batched(rows, driver.owner_of())))

    def decide(self, work: Sequence[Work]) -> bool:
        """Write rows of one partition, all or none, where the condition among them holds; return whether it did.

        After StoreUnavailable it may have held: look (``linear``) before trying again.
        """
        with _translated():
            driver = self._open()
            bound = [driver.bound(text, params) for text, params in work]
            statement: BoundStatement | BatchStatement = bound[0]
            if len(bound) > 1:
                statement = BatchStatement(batch_type=BatchType.UNLOGGED)
                for one in bound:
                    statement.add(one)
            statement.is_idempotent = False
            return bool(self._run(driver, [statement])[0][0][0])

    def define(self, text: str, *, timeout_s: float = 30.0) -> list[Row]:
        """Run one statement as it stands: of the schema, or on the system's tables."""
        with _translated():
            return list(self._open().session.execute(text, timeout=timeout_s, execution_profile=PROFILE))

    # --- how ----------------------------------------------------------------------------------

    def _open(self) -> "_Driver":
        session, driver = self._connect(), self._driver
        if driver is None or driver.session is not session:
            driver = self._driver = _Driver(session, self.keyspace)
        return driver

    @staticmethod
    def _run(driver: "_Driver", statements: Iterable[BoundStatement | BatchStatement]) -> list[list[Row]]:
        """Run statements in a window; on the first failure wait for those on their way (each has its timeout)."""
        under_way: deque[Any] = deque()
        results: list[list[Row]] = []
        try:
            for statement in statements:
                if len(under_way) == _WINDOW:
                    results.append(list(under_way.popleft().result()))
                under_way.append(driver.session.execute_async(statement, execution_profile=PROFILE))
            while under_way:
                results.append(list(under_way.popleft().result()))
        except BaseException:
            for future in under_way:
                with contextlib.suppress(Exception):
                    future.result()
            raise
        return results


def batched(rows: list[BoundStatement], owner_of: Callable[[bytes], str]) -> Iterator[list[BoundStatement]]:
    """Yield the rows in lists that make one batch each: all of one owner, rows of one partition next to each other."""

    def place(row: BoundStatement) -> tuple[str, str, bytes]:
        return owner_of(row.routing_key), row.table, row.routing_key

    batch: list[BoundStatement] = []
    partitions, size, last = 0, 0, ("", "", b"")
    for row in sorted(rows, key=place):
        at = place(row)
        weight = _ROW_BYTES + len(b"".join([value for value in row.values if isinstance(value, bytes)]))
        full = len(batch) == _BATCH_ROWS or size + weight > _BATCH_BYTES
        if batch and (full or at[0] != last[0] or (at != last and partitions == _BATCH_PARTITIONS)):
            yield batch
            batch, partitions, size = [], 0, 0
        if not batch or at != last:
            partitions += 1
        batch.append(row)
        size, last = size + weight, at
    if batch:
        yield batch


class _Driver:
    """One session of the driver's, and what was prepared on it."""

    def __init__(self, session: Session, keyspace: str) -> None:
        self.session = session
        self._keyspace = keyspace
        self._prepared: dict[str, PreparedStatement] = {}

    def bound(self, text: str, params: Sequence[Any]) -> BoundStatement:
        prepared = self._prepared.get(text)
        if prepared is None:
            # Two threads may both do it: better than to wait for each other while Cassandra hangs.
            prepared = self.session.prepare(text.format(ks=self._keyspace))
            prepared.is_idempotent = True
            self._prepared[text] = prepared
        return prepared.bind(params)

    def owner_of(self) -> Callable[[bytes], str]:
        """Return a function that names the first node that keeps a partition; the same for all where there is one."""
        metadata = self.session.cluster.metadata
        if len(metadata.all_hosts()) == 1:
            return lambda key: ""
        known: dict[bytes, str] = {}

        def owner(key: bytes) -> str:
            if key not in known:
                replicas = metadata.get_replicas(self._keyspace, key)
                known[key] = str(replicas[0].host_id) if replicas else ""
            return known[key]

        return owner


def _batch(rows: list[BoundStatement]) -> BoundStatement | BatchStatement:
    if len(rows) == 1:
        return rows[0]
    batch = BatchStatement(batch_type=BatchType.UNLOGGED)
    for row in rows:
        batch.add(row)
    batch.is_idempotent = True
    return batch
