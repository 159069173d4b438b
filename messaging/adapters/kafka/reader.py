"""One member of a consumer group: a KafkaConsumer in a thread of its own (design section 1, step 2)."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import CommitFailedError, KafkaError, RebalanceInProgressError
from kafka.structs import OffsetAndMetadata
from prometheus_client import Counter, Gauge

from messaging.adapters.kafka.clients import build, calm
from messaging.adapters.kafka.settings import MAX_RECORD_BYTES, OVERHEAD_BYTES, KafkaSettings
from messaging.adapters.log_metrics import Lag
from messaging.ports import LogUnavailable, Record

logger = logging.getLogger(__name__)

REBALANCES = Counter("chat_log_rebalances_total", "Times that partitions came to or went from a reader.", ["topic"])
PARTITIONS = Gauge("chat_log_partitions", "Partitions that this process reads.", ["topic"])
FAILURES = Counter("chat_log_reader_failures_total", "Reads and commits that Kafka did not answer.", ["topic", "what"])

#: One look into Kafka. A reader that is closed waits so long at most.
_SLICE_S: Final = 0.25
#: What a poll returns sooner than this had come before it, and so long it then waits for what came since.
_MOMENT_S: Final = 0.01
_PAUSE_S: Final = 1.0
_COMMIT_S: Final = 5.0
_CLOSE_S: Final = 2.0


class KafkaLogReader:
    """See the port. Used on one event loop; all of kafka-python runs in the reader's one thread."""

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        group: str,
        *,
        on_close: Callable[["KafkaLogReader"], None],
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._group = settings.group(group, topic)
        self._on_close = on_close
        self._consumer: KafkaConsumer | None = None
        self._generation = 0
        self._lag = Lag(topic, group)
        #: Read, and not returned yet.
        self._ready: deque[Record] = deque()
        #: Returned and not committed: the next offset of each partition.
        self._handed: dict[int, int] = {}
        #: Taken away during the poll at hand.
        self._taken: set[int] = set()
        self._turn = asyncio.Lock()
        self._reading: asyncio.Future[list[Record]] | None = None
        self._closed = False
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"log-reader-{topic}")

    @property
    def generation(self) -> int:
        """Return the number of times that partitions came or went; see the port."""
        return self._generation

    async def poll(self, *, max_records: int, timeout_s: float) -> list[Record]:
        """Return the next records; see the port. Cancelled, it loses none: the next poll returns them."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        try:
            async with asyncio.timeout_at(deadline):
                await self._turn.acquire()
        except TimeoutError:
            return []
        try:
            while not self._ready:
                if self._reading is None:
                    self._reading = loop.run_in_executor(self._executor, self._read, max_records)
                # Not longer than asked for: where there is nothing, the thread goes on for the next poll.
                done, _ = await asyncio.wait([self._reading], timeout=max(0.0, deadline - loop.time()))
                if not done:
                    return []
                reading, self._reading = self._reading, None
                self._ready.extend(reading.result())
                if loop.time() >= deadline:
                    break
            records = [self._ready.popleft() for _ in range(min(max_records, len(self._ready)))]
            for record in records:
                self._handed[record.partition] = record.offset + 1
            return records
        finally:
            self._turn.release()

    async def commit(self) -> None:
        """Make what was polled count as done; see the port.

        Raises:
            LogUnavailable: Kafka does not answer. The next commit makes up for it.
        """
        if self._handed:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._commit)

    async def close(self) -> None:
        """Leave the group; idempotent."""
        if self._closed:
            return
        self._closed = True
        self._on_close(self)
        if self._reading is not None:
            # Nobody will ask how it ended.
            self._reading.add_done_callback(lambda reading: reading.cancelled() or reading.exception())
        closing = self._executor.submit(self._drop)
        self._executor.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(closing))

    # --- the reader's thread --------------------------------------------------------------------------

    def _open(self) -> KafkaConsumer:
        consumer: KafkaConsumer = build(
            KafkaConsumer,
            **self._settings.client(
                group_id=self._group,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                partition_assignment_strategy=[CooperativeStickyAssignor],
                # A rebalance waits until every member has heard of it with a heartbeat.
                heartbeat_interval_ms=500,
                session_timeout_ms=10_000,
                # A poll that hangs for so long gives its partitions up; one that holds on to them (the store is
                # out) does, too, and gets them back.
                max_poll_interval_ms=60_000,
                request_timeout_ms=10_000,
                fetch_max_wait_ms=500,
                fetch_min_bytes=1,
                fetch_max_bytes=8 * 1024 * 1024,
                max_partition_fetch_bytes=MAX_RECORD_BYTES + OVERHEAD_BYTES,
                allow_auto_create_topics=False,
                metrics_enabled=False,
            ),
        )
        calm(consumer)
        topic = self._settings.topic(self._topic)
        # Known before it joins: a leader that does not know a topic's partitions gives out none.
        consumer.partitions_for_topic(topic)
        consumer.subscribe([topic], listener=_Listener(self._on_given, self._on_taken))
        return consumer

    def _read(self, max_records: int) -> list[Record]:
        try:
            if self._consumer is None:
                self._consumer = self._open()
            found = self._poll(self._consumer, max_records)
        except KafkaError as error:
            if not error.retriable:
                # Fenced, thrown out or confused: a new one joins again and begins at what was committed.
                self._drop()
            FAILURES.labels(self._topic, "read").inc()
            # Whoever polls again at once does not ask again at once.
            time.sleep(_PAUSE_S)
            raise LogUnavailable(f"{self._topic} cannot be read: {error}") from error
        for place, records in found.items():
            self._lag.read(
                place.partition,
                first_ts_ms=records[0].timestamp,
                last_ts_ms=records[-1].timestamp,
                next_offset=records[-1].offset + 1,
                behind=max(0, (self._consumer.highwater(place) or 0) - records[-1].offset - 1),
            )
        return [
            Record(self._topic, place.partition, it.offset, it.timestamp, it.key or b"", it.value or b"")
            for place, records in found.items()
            for it in records
        ]

    def _poll(self, consumer: KafkaConsumer, max_records: int) -> dict[TopicPartition, list[Any]]:
        """Return the next records, those that came just now among them.

        kafka-python fetches ahead: as it returns records it sends for the next, and is answered with the first that
        comes. Whoever pauses between polls, so that a poll brings more, would get what came in the pause with the poll
        after the next one only.
        """
        began = time.monotonic()
        found: dict[TopicPartition, list[Any]] = consumer.poll(timeout_ms=int(_SLICE_S * 1000), max_records=max_records)
        room = max_records - sum(map(len, found.values()))
        if not found or room <= 0 or time.monotonic() - began >= _MOMENT_S:
            return found
        self._taken.clear()
        more: dict[TopicPartition, list[Any]] = {}
        # An error would lose what was found; the next poll meets it again.
        with contextlib.suppress(KafkaError):
            more = consumer.poll(timeout_ms=int(_MOMENT_S * 1000), max_records=room)
        # What was taken away is read again by whoever has it now.
        found = {place: records for place, records in found.items() if place.partition not in self._taken}
        for place, records in more.items():
            found.setdefault(place, []).extend(records)
        return found

    def _commit(self) -> None:
        # What was taken away has left ``_handed`` with it.
        consumer, handed = self._consumer, dict(self._handed)
        if consumer is None:
            return
        topic = self._settings.topic(self._topic)
        offsets = {TopicPartition(topic, part): OffsetAndMetadata(at, "", -1) for part, at in handed.items()}
        try:
            consumer.commit(offsets, timeout_ms=int(_COMMIT_S * 1000))
        except (CommitFailedError, RebalanceInProgressError) as error:
            # The group is moving. What stays with us is committed next time; what goes is read again elsewhere.
            logger.info("not committed to %s now: %s", self._topic, error)
        except KafkaError as error:
            FAILURES.labels(self._topic, "commit").inc()
            raise LogUnavailable(f"{self._topic} could not be committed: {error}") from error
        else:
            self._lag.committed(handed)
            self._handed = {part: at for part, at in self._handed.items() if handed.get(part) != at}

    def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            try:
                consumer.close(autocommit=False, timeout_ms=int(_CLOSE_S * 1000))
            except KafkaError as error:
                logger.warning("the reader of %s did not leave in order: %s", self._topic, error)
        PARTITIONS.labels(self._topic).set(0)
        self._lag.close()

    # --- kafka-python's thread, while the reader's waits for it -----------------------------------------

    def _on_given(self, partitions: Iterable[int]) -> None:
        self._moved()

    def _on_taken(self, partitions: Iterable[int]) -> None:
        taken = list(partitions)
        self._taken.update(taken)
        for partition in taken:
            self._handed.pop(partition, None)
        self._lag.forget(taken)
        self._moved()

    def _moved(self) -> None:
        self._generation += 1
        REBALANCES.labels(self._topic).inc()
        if self._consumer is not None:
            PARTITIONS.labels(self._topic).set(len(self._consumer.assignment()))


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Passes on which partitions came and went."""

    def __init__(self, given: Callable[[Iterable[int]], None], taken: Callable[[Iterable[int]], None]) -> None:
        self._given = given
        self._taken = taken

    def on_partitions_assigned(self, assigned: Any) -> None:
        """Some came."""
        self._given([it.partition for it in assigned])

    def on_partitions_revoked(self, revoked: Any) -> None:
        """Some were asked back; or all, since the reader closes."""
        self._taken([it.partition for it in revoked])

    def on_partitions_lost(self, lost: Any) -> None:
        """Some were given to others, without asking."""
        self._taken([it.partition for it in lost])
