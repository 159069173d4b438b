"""MessageLog on Kafka (design sections 1 and 2; docs/decisions/0008-kafka-log.md).

A record is durable when all in-sync replicas have it, and in order per key: an idempotent producer, one batch of a
partition on its way at a time, Kafka's own partitioner over the whole key.
"""

import asyncio
import threading
from typing import Final

from messaging.adapters.kafka.positions import Positions
from messaging.adapters.kafka.reader import KafkaLogReader
from messaging.adapters.kafka.settings import MAX_RECORD_BYTES, KafkaSettings
from messaging.adapters.kafka.topics import Topics
from messaging.adapters.kafka.writer import Writer
from messaging.ports import LogReader, NewRecord, Position, RecordTooLarge

_START_S: Final = 5.0


class KafkaMessageLog:
    """See the module and the port. Partitions of a topic that has records must stay as many as they are."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._writer: Writer | None = None
        self._starting = threading.Lock()
        self._readers: list[KafkaLogReader] = []

    async def start(self) -> None:
        """Connect and check the topics; see the port."""
        writer = self._ensure_started()
        await asyncio.to_thread(writer.attempted.wait, _START_S)
        if writer.unfit and writer.problem is not None:
            raise writer.problem

    def is_ready(self) -> bool:
        """Return whether Kafka was reached and its topics found fit."""
        return self._writer is not None and self._writer.opened and not self._writer.unfit

    def _ensure_started(self) -> Writer:
        with self._starting:
            if self._writer is None:
                self._writer = Writer(self._settings)
                self._writer.start()
            return self._writer

    def append(self, record: NewRecord) -> "asyncio.Future[Position]":
        """Queue one record; see the port."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Position] = loop.create_future()
        if len(record.payload) + len(record.key) > MAX_RECORD_BYTES:
            future.set_exception(RecordTooLarge(f"over {MAX_RECORD_BYTES} bytes"))
        else:
            (self._writer or self._ensure_started()).put(record, loop, future)
        return future

    def reader(self, topic: str, *, group: str) -> LogReader:
        """Return a reader; see the port."""
        reader = KafkaLogReader(self._settings, topic, group, on_close=self._readers.remove)
        self._readers.append(reader)
        return reader

    async def lag(self, topic: str, *, group: str) -> int:
        """Return how many records the group has not committed."""
        return await asyncio.to_thread(self._lag, topic, group)

    def _lag(self, topic: str, group: str) -> int:
        with Topics(self._settings) as topics:
            return topics.lag(topic, group)

    async def trim(self, *, before_ms: int) -> int:
        """Delete what is older than ``before_ms``; see the port. Topics with a retention of their own keep it."""
        return await asyncio.to_thread(self._trim, before_ms)

    def _trim(self, before_ms: int) -> int:
        if self._settings.redis_url:
            positions = Positions(
                self._settings.redis_url, prefix=self._settings.prefix, ttl=self._settings.dedupe_cache
            )
            positions.forget_before(before_ms)
            positions.close()
        with Topics(self._settings) as topics:
            return topics.trim(before_ms)

    async def close(self) -> None:
        """Finish what was queued, then close, the readers too; idempotent."""
        for reader in list(self._readers):
            await reader.close()
        writer, self._writer = self._writer, None
        if writer is not None:
            await asyncio.to_thread(writer.close)
