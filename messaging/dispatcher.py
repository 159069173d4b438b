"""From topics of the log to jobs: hand over, then commit (docs/decisions/0013).

A record that a job is to see waits in the log until the broker has the job; only then does the dispatcher commit. The
job may come twice, and is idempotent. Its task takes one argument, a batch of records; ``unpack`` reads it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, Final, ParamSpec

import msgspec
from celery import Celery
from prometheus_client import Counter, Gauge

from messaging.endings import end
from messaging.ports import LogReader, MessageLog, Record
from messaging.services.dead_letters import dead_record, place_of

logger = logging.getLogger(__name__)

RECORDS = Counter("chat_dispatcher_records_total", "Records handed to jobs.", ["topic"])
FAILURES = Counter("chat_dispatcher_failures_total", "Hand-overs that failed and were tried again.", ["topic"])
POISON = Counter(
    "chat_dispatcher_poison_total", "Records that no job could read; they went to the dead topic.", ["topic"]
)
HELD = Gauge("chat_dispatcher_held", "1 while the broker takes no jobs and the log keeps the records.", ["topic"])

GROUP: Final = "dispatcher"
_MAX_RECORDS: Final = 500
_POLL_TIMEOUT_S: Final = 1.0
#: The least time from one hand-over to the next poll: what comes meanwhile shares a job, which costs as much for one.
_PACE_S: Final = 0.1
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
#: Of one job.
_MAX_BATCH_RECORDS, _MAX_BATCH_BYTES = 100, 256 * 1024

P = ParamSpec("P")


class QueueFull(Exception):
    """So many jobs wait for the workers that the log had better keep the rest."""


def unpack(batch: object) -> list[Record]:
    """Return the records of a job's argument. Raises msgspec.ValidationError."""
    return msgspec.convert(batch, list[Record])


def find_task(app: Celery, name: str) -> Any | None:
    """Return the task; None where its module or the task itself does not exist."""
    module = name.rpartition(".")[0]
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        # One that is there and lacks something is broken, not absent.
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        return None
    return app.tasks.get(name)


class Dispatcher:
    """Reads each topic of ``routes`` (topic -> name of a task) whose task exists, each in its own loop.

    ``max_waiting``: jobs in the broker's queue at which it holds.
    """

    def __init__(self, *, log: MessageLog, app: Celery, routes: Mapping[str, str], max_waiting: int = 1_000) -> None:
        self._log = log
        self._app = app
        self._tasks_of = {topic: task for topic, name in routes.items() if (task := find_task(app, name)) is not None}
        self._max_waiting = max_waiting
        # Handing over blocks; each topic has a thread.
        self._threads = ThreadPoolExecutor(max(1, len(self._tasks_of)), thread_name_prefix="dispatcher")
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the log and start reading; idempotent."""
        if self._loops:
            return
        await self._log.start()
        loop = asyncio.get_running_loop()
        self._loops = [
            loop.create_task(self._run(topic, task), name=f"dispatcher-{topic}")
            for topic, task in self._tasks_of.items()
        ]

    async def stop(self) -> None:
        """Stop reading. What was handed over and not committed is handed over again."""
        await end(self._loops)
        self._loops = []
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, topic: str, task: Any) -> None:
        HELD.labels(topic).set(0)
        reader = self._log.reader(topic, group=GROUP)
        try:
            while True:
                try:
                    records = await reader.poll(max_records=_MAX_RECORDS, timeout_s=_POLL_TIMEOUT_S)
                except Exception:
                    logger.exception("reading %s failed", topic)
                    await asyncio.sleep(_FIRST_WAIT_S)
                    continue
                if records:
                    await self._dispatch(topic, task, records)
                    await self._commit(topic, reader)
                    await asyncio.sleep(_PACE_S)
        finally:
            await reader.close()

    async def _dispatch(self, topic: str, task: Any, records: Sequence[Record]) -> None:
        """Return once every record is in the broker or among the dead."""
        readable = []
        for record in records:
            if reason := _fault(record):
                await self._until_done(topic, self._bury, record, reason)
            else:
                readable.append(record)
        for batch in _batches(readable):
            await self._until_done(topic, self._hand_over, topic, task, batch)
            RECORDS.labels(topic).inc(len(batch))

    async def _until_done(
        self, topic: str, work: Callable[P, Awaitable[None]], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Do ``work`` until it succeeds; meanwhile the topic is held."""
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                await work(*args, **kwargs)
            except Exception as error:
                FAILURES.labels(topic).inc()
                HELD.labels(topic).set(1)
                logger.warning("%s is held: %s: %s; again in %.1f s", topic, type(error).__name__, error, wait_s)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            else:
                HELD.labels(topic).set(0)
                return

    async def _hand_over(self, topic: str, task: Any, batch: Sequence[Record]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, self._queue, topic, task, batch)

    def _queue(self, topic: str, task: Any, batch: Sequence[Record]) -> None:
        first = batch[0]
        queue = self._app.amqp.router.route({}, task.name)["queue"]
        with self._app.producer_or_acquire() as producer:
            if producer.channel.queue_declare(queue.name).message_count >= self._max_waiting:
                raise QueueFull(f"{self._max_waiting} jobs wait in {queue.name}")
            task.apply_async(
                (msgspec.to_builtins(batch),),
                # The same again after a crash: one line in the admin, however often it is done.
                task_id=f"{topic}-{first.partition}-{first.offset}",
                argsrepr=f"{len(batch)} records of {topic} from {first.partition}/{first.offset} on",
                producer=producer,
                # Trying again is decided above.
                retry=False,
            )

    async def _bury(self, record: Record, reason: str) -> None:
        await self._log.append(dead_record(record, reason))
        POISON.labels(record.topic).inc()
        logger.error("the record at %s went to the dead topic: %s", place_of(record), reason)

    async def _commit(self, topic: str, reader: LogReader) -> None:
        try:
            await reader.commit()
        except Exception:
            # Not lost: the next commit covers it, and a restart before that repeats idempotent jobs.
            logger.exception("committing %s failed", topic)


def _fault(record: Record) -> str | None:
    """Return why no job can read the record; None where it looks like one of ours: MessagePack."""
    try:
        msgspec.msgpack.decode(record.payload)
    except msgspec.DecodeError as error:
        return str(error)
    return None


def _batches(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Yield the records in their order, in batches bounded by number and by size (a large record is one alone)."""
    batch: list[Record] = []
    size = 0
    for record in records:
        if batch and (len(batch) >= _MAX_BATCH_RECORDS or size + len(record.payload) > _MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.payload)
    if batch:
        yield batch
