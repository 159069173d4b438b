"""MessageLog in one SQLite file: durable, ordered, with group commit (design sections 2 and 3).

One writer thread per process takes whatever waits, writes it in one transaction and lets the
senders go after the fsync: the more senders, the cheaper each. The readers' commits travel with it,
since a second writer would wait for SQLite's lock most of the time. Several processes may append to
and read the same file; SQLite's write lock orders them.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar
from zlib import crc32

from prometheus_client import Histogram

from messaging.adapters.log_metrics import DEDUPE_HITS, Lag
from messaging.domain.ids import OFFSET_MASK
from messaging.ports import LogReader, LogUnavailable, NewRecord, Position, Record, RecordTooLarge

logger = logging.getLogger(__name__)

T = TypeVar("T")

COMMIT_RECORDS = Histogram(
    "chat_log_commit_records", "Records per commit of the log.", buckets=(1, 2, 5, 10, 50, 200, 1000)
)

MAX_RECORD_BYTES: Final = 1024 * 1024
_MAX_QUEUED: Final = 20_000
_MAX_COMMIT: Final = 1_000
#: Parameters of one statement; old SQLite builds take 999.
_MAX_PARAMETERS: Final = 990
#: How often a reader looks for records of other processes.
_FOREIGN_POLL_S: Final = 0.1

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS records (
    topic TEXT NOT NULL, part INTEGER NOT NULL, offset INTEGER NOT NULL,
    ts_ms INTEGER NOT NULL, key BLOB NOT NULL, payload BLOB NOT NULL,
    PRIMARY KEY (topic, part, offset)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ends (
    topic TEXT NOT NULL, part INTEGER NOT NULL, next_offset INTEGER NOT NULL, last_ts_ms INTEGER NOT NULL,
    PRIMARY KEY (topic, part)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dedup (
    topic TEXT NOT NULL, key BLOB NOT NULL, part INTEGER NOT NULL, offset INTEGER NOT NULL, ts_ms INTEGER NOT NULL,
    PRIMARY KEY (topic, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS commits (
    topic TEXT NOT NULL, grp TEXT NOT NULL, part INTEGER NOT NULL, next_offset INTEGER NOT NULL,
    PRIMARY KEY (topic, grp, part)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class _Done:
    """How far a group has come in a topic: partition -> the offset after the last record that is done."""

    topic: str
    group: str
    next_offsets: dict[int, int]


#: A record gets its position, what is done gets None.
_Waiting = tuple[NewRecord | _Done, asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


class SqliteMessageLog:
    """See the module. ``partitions`` must stay the same for the life of the file."""

    def __init__(self, path: Path, *, partitions: int = 1) -> None:
        self._path = path
        self._partitions = partitions
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(_MAX_QUEUED)
        self._writer: threading.Thread | None = None
        self._starting = threading.Lock()
        self._readers: list[SqliteLogReader] = []

    async def start(self) -> None:
        """Open the file and start the writer; idempotent. Raises LogUnavailable."""
        self._ensure_started()

    def _ensure_started(self) -> None:
        with self._starting:
            if self._writer is not None:
                return
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                connection = _connect(self._path)
                connection.executescript(_SCHEMA)
            except (sqlite3.Error, OSError) as error:
                raise LogUnavailable(f"the log at {self._path} cannot be opened: {error}") from error
            self._writer = threading.Thread(target=self._write, args=(connection,), name="log-writer", daemon=True)
            self._writer.start()

    def is_ready(self) -> bool:
        """Return whether the file is open."""
        return self._writer is not None

    def append(self, record: NewRecord) -> "asyncio.Future[Position]":
        """Queue one record; see the port."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Position] = loop.create_future()
        if len(record.payload) + len(record.key) > MAX_RECORD_BYTES:
            future.set_exception(RecordTooLarge(f"over {MAX_RECORD_BYTES} bytes"))
            return future
        return self._enqueue(record, loop, future)

    def _mark_done(self, done: _Done) -> "asyncio.Future[None]":
        """Queue a reader's commit; the future is done once it would survive a crash, or has LogUnavailable."""
        loop = asyncio.get_running_loop()
        return self._enqueue(done, loop, loop.create_future())

    def _enqueue(
        self, work: NewRecord | _Done, loop: asyncio.AbstractEventLoop, future: "asyncio.Future[T]"
    ) -> "asyncio.Future[T]":
        if self._writer is None:
            self._ensure_started()
        try:
            self._queue.put_nowait((work, loop, future))
        except queue.Full:
            future.set_exception(LogUnavailable("the log's queue is full"))
        return future

    def partition_of(self, key: bytes) -> int:
        """Return the partition of a key."""
        return crc32(key) % self._partitions

    # --- writer thread ----------------------------------------------------------------------------

    def _write(self, connection: sqlite3.Connection) -> None:
        running = True
        while running:
            batch: list[_Waiting] = []
            item = self._queue.get()
            while True:
                if item is None:
                    running = False
                    break
                batch.append(item)
                if len(batch) >= _MAX_COMMIT:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if batch:
                self._commit(connection, batch)
        connection.close()

    def _commit(self, connection: sqlite3.Connection, batch: list[_Waiting]) -> None:
        records = [work for work, _, _ in batch if isinstance(work, NewRecord)]
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                positions = iter(self._insert(connection, records))
                self._finish(connection, [work for work, _, _ in batch if isinstance(work, _Done)])
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            logger.exception("the log did not take %d records", len(records))
            self._settle([(loop, future, LogUnavailable(str(error))) for _, loop, future in batch])
            return
        if records:
            COMMIT_RECORDS.observe(len(records))
        settled = [
            (loop, future, next(positions) if isinstance(work, NewRecord) else None) for work, loop, future in batch
        ]
        DEDUPE_HITS.labels("log").inc(sum(place is not None and place.duplicate for _, _, place in settled))
        self._settle(settled)
        topics = {record.topic for record in records}
        for reader in tuple(self._readers):
            if reader.topic in topics:
                reader.wake()

    @staticmethod
    def _finish(connection: sqlite3.Connection, finished: list[_Done]) -> None:
        connection.executemany(
            "INSERT INTO commits VALUES (?, ?, ?, ?) ON CONFLICT (topic, grp, part) "
            "DO UPDATE SET next_offset = excluded.next_offset",
            [(done.topic, done.group, part, at) for done in finished for part, at in done.next_offsets.items()],
        )

    def _insert(self, connection: sqlite3.Connection, records: list[NewRecord]) -> list[Position]:
        now_ms = int(time.time() * 1000)
        ends: dict[tuple[str, int], tuple[int, int]] = {}
        positions: list[Position] = []
        rows: list[tuple[str, int, int, int, bytes, bytes]] = []
        keys: list[tuple[str, bytes, int, int, int]] = []
        placed = self._placed(connection, records)
        for record in records:
            if record.dedup_key is not None:
                first = placed.get((record.topic, record.dedup_key))
                if first is not None:
                    positions.append(Position(first.partition, first.offset, first.ts_ms, duplicate=True))
                    continue
            part = self.partition_of(record.key)
            if (record.topic, part) not in ends:
                row = connection.execute(
                    "SELECT next_offset, last_ts_ms FROM ends WHERE topic = ? AND part = ?", (record.topic, part)
                ).fetchone()
                ends[record.topic, part] = (0, 0) if row is None else row
            offset, last_ts_ms = ends[record.topic, part]
            ts_ms = max(now_ms, last_ts_ms)
            if offset & OFFSET_MASK == 0 and ts_ms == last_ts_ms:
                # The offset's low bits wrap: a new millisecond keeps id order the order of the log.
                ts_ms += 1
            ends[record.topic, part] = (offset + 1, ts_ms)
            position = Position(part, offset, ts_ms)
            positions.append(position)
            rows.append((record.topic, part, offset, ts_ms, record.key, record.payload))
            if record.dedup_key is not None:
                placed[record.topic, record.dedup_key] = position
                keys.append((record.topic, record.dedup_key, part, offset, ts_ms))
        _insert_many(connection, "INSERT INTO records VALUES {}", rows)
        _insert_many(connection, "INSERT INTO dedup VALUES {}", keys)
        connection.executemany(
            "INSERT INTO ends VALUES (?, ?, ?, ?) ON CONFLICT (topic, part) "
            "DO UPDATE SET next_offset = excluded.next_offset, last_ts_ms = excluded.last_ts_ms",
            [(topic, part, *end) for (topic, part), end in ends.items()],
        )
        return positions

    @staticmethod
    def _placed(connection: sqlite3.Connection, records: list[NewRecord]) -> dict[tuple[str, bytes], Position]:
        """Return where those records are whose dedupe keys were seen before."""
        by_topic: dict[str, list[bytes]] = {}
        for record in records:
            if record.dedup_key is not None:
                by_topic.setdefault(record.topic, []).append(record.dedup_key)
        found: dict[tuple[str, bytes], Position] = {}
        for topic, keys in by_topic.items():
            for start in range(0, len(keys), _MAX_PARAMETERS):
                chunk = keys[start : start + _MAX_PARAMETERS]
                places = ", ".join("?" * len(chunk))
                for key, *position in connection.execute(
                    f"SELECT key, part, offset, ts_ms FROM dedup WHERE topic = ? AND key IN ({places})",  # noqa: S608
                    (topic, *chunk),
                ):
                    found[topic, key] = Position(*position)
        return found

    @staticmethod
    def _settle(
        results: Iterable[tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Position | Exception | None]],
    ) -> None:
        """Give the waiting loops their results, with one wake-up for each loop."""
        per_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Position | Exception | None]]] = {}
        for loop, future, result in results:
            per_loop.setdefault(loop, []).append((future, result))
        for loop, settled in per_loop.items():
            try:
                loop.call_soon_threadsafe(_resolve, settled)
            except RuntimeError:
                # The loop is gone, and with it whoever waited; the records stand.
                logger.debug("nobody waits for %d positions any more", len(settled))

    # --- readers ----------------------------------------------------------------------------------

    def reader(self, topic: str, *, group: str) -> LogReader:
        """Return a reader; see the port."""
        self._ensure_started()
        reader = SqliteLogReader(self._path, topic, group, mark_done=self._mark_done, on_close=self._forget)
        self._readers.append(reader)
        return reader

    def _forget(self, reader: "SqliteLogReader") -> None:
        if reader in self._readers:
            self._readers.remove(reader)

    async def lag(self, topic: str, *, group: str) -> int:
        """Return how many records the group has not committed."""
        return await asyncio.to_thread(self._lag, topic, group)

    def _lag(self, topic: str, group: str) -> int:
        self._ensure_started()
        connection = _connect(self._path)
        try:
            row = connection.execute(
                "SELECT count(*) FROM records r"
                " LEFT JOIN commits c ON c.topic = r.topic AND c.part = r.part AND c.grp = ?"
                " WHERE r.topic = ? AND r.offset >= coalesce(c.next_offset, 0)",
                (group, topic),
            ).fetchone()
        finally:
            connection.close()
        return int(row[0])

    async def trim(self, *, before_ms: int) -> int:
        """Delete what is older than ``before_ms``; see the port."""
        return await asyncio.to_thread(self._trim, before_ms)

    def _trim(self, before_ms: int) -> int:
        self._ensure_started()
        connection = _connect(self._path)
        try:
            deleted = connection.execute("DELETE FROM records WHERE ts_ms < ?", (before_ms,)).rowcount
            connection.execute("DELETE FROM dedup WHERE ts_ms < ?", (before_ms,))
        finally:
            connection.close()
        return deleted

    async def close(self) -> None:
        """Finish what was queued, then close, the readers too; idempotent."""
        # A connection that outlives its log is a trap: SQLite's last close of a file deletes the write-ahead log by its
        # name, which may be another database's by then.
        for reader in list(self._readers):
            await reader.close()
        writer = self._writer
        if writer is None:
            return
        self._writer = None
        await asyncio.to_thread(self._queue.put, None)
        await asyncio.to_thread(writer.join, 10.0)


def _insert_many(connection: sqlite3.Connection, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert rows in as few statements as there can be: each step of one gives up the interpreter for a moment."""
    width = len(rows[0]) if rows else 1
    size = _MAX_PARAMETERS // width
    for start in range(0, len(rows), size):
        chunk = rows[start : start + size]
        row = "(" + ", ".join("?" * width) + ")"
        connection.execute(sql.format(", ".join([row] * len(chunk))), [cell for row_ in chunk for cell in row_])


def _resolve(settled: list[tuple["asyncio.Future[Any]", Position | Exception | None]]) -> None:
    for future, result in settled:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


class SqliteLogReader:
    """One member of a group; reads all partitions. Used on one event loop."""

    def __init__(
        self,
        path: Path,
        topic: str,
        group: str,
        *,
        mark_done: Callable[[_Done], Awaitable[None]],
        on_close: Callable[["SqliteLogReader"], None],
    ) -> None:
        self.topic = topic
        self._mark_done = mark_done
        self._path = path
        self._group = group
        self._on_close = on_close
        self._connection: sqlite3.Connection | None = None
        self._next: dict[int, int] = {}
        self._committed: dict[int, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._arrived = asyncio.Event()
        self._lag = Lag(topic, group)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"log-reader-{topic}")

    @property
    def generation(self) -> int:
        """Return 0: one process reads all partitions."""
        return 0

    def wake(self) -> None:
        """Tell the reader that there may be records; from any thread."""
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._arrived.set)
            except RuntimeError:
                self._loop = None

    async def poll(self, *, max_records: int, timeout_s: float) -> list[Record]:
        """Return the next records; see the port."""
        self._loop = loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            self._arrived.clear()
            records = await loop.run_in_executor(self._executor, self._read, max_records)
            if records:
                for record in records:
                    self._next[record.partition] = record.offset + 1
                return records
            left_s = deadline - loop.time()
            if left_s <= 0:
                return []
            try:
                async with asyncio.timeout(min(left_s, _FOREIGN_POLL_S)):
                    await self._arrived.wait()
            except TimeoutError:
                continue

    def _read(self, max_records: int) -> list[Record]:
        if self._connection is None:
            self._connection = _connect(self._path)
            self._next = dict(
                self._connection.execute(
                    "SELECT part, next_offset FROM commits WHERE topic = ? AND grp = ?", (self.topic, self._group)
                ).fetchall()
            )
            self._committed = dict(self._next)
        records: list[Record] = []
        ends = self._connection.execute("SELECT part, next_offset FROM ends WHERE topic = ?", (self.topic,)).fetchall()
        for part, end in ends:
            start = self._next.get(part, 0)
            if start >= end or len(records) >= max_records:
                continue
            rows = self._connection.execute(
                "SELECT part, offset, ts_ms, key, payload FROM records WHERE topic = ? AND part = ? AND offset >= ?"
                " ORDER BY offset LIMIT ?",
                (self.topic, part, start, max_records - len(records)),
            )
            found = [Record(self.topic, *row) for row in rows]
            if found:
                next_offset = found[-1].offset + 1
                self._lag.read(
                    part,
                    first_ts_ms=found[0].ts_ms,
                    last_ts_ms=found[-1].ts_ms,
                    next_offset=next_offset,
                    behind=end - next_offset,
                )
            records += found
        return records

    async def commit(self) -> None:
        """Make what was polled count as done; see the port."""
        changed = {part: at for part, at in self._next.items() if self._committed.get(part) != at}
        if changed:
            await self._mark_done(_Done(self.topic, self._group, changed))
            self._committed.update(changed)
            self._lag.committed(changed)

    async def close(self) -> None:
        """Leave the group; idempotent."""
        if self._closed:
            return
        self._closed = True
        self._on_close(self)
        # In the reader's own thread, after a read that a cancelled poll may have left running: SQLite does not
        # survive a connection that is closed in the middle of a query.
        closing = self._executor.submit(self._disconnect)
        self._executor.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(closing))

    def _disconnect(self) -> None:
        self._lag.close()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
