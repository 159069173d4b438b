"""Compares Kafka clients in the way this project uses one: ``python -m bench.kafka_clients --brokers HOST:PORT``.

kafka-python is measured through the project's own log, the others through the least code that does the same: append
from an event loop and be told on it when the record is durable; read in batches and commit each. Every client runs in
a process of its own, on the same broker, in turns. Those that are not installed are left out; they are not among the
project's requirements (``pip install aiokafka confluent-kafka`` into an environment of your own).
"""

import argparse
import asyncio
import contextlib
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final, Protocol
from uuid import uuid4

import uvloop

from messaging.adapters.kafka.log import KafkaMessageLog
from messaging.adapters.kafka.settings import KafkaSettings, Topic
from messaging.adapters.kafka.topics import Topics
from messaging.ports import LogReader, NewRecord

_PARTITIONS: Final = 48
_PAYLOAD: Final = os.urandom(1024)
_KEYS: Final = [n.to_bytes(8, "big") for n in range(10_000)]
_WINDOW: Final = 500
#: A part that has not ended by then counts for what it did.
_LONGEST_S: Final = 60.0


class Client(Protocol):
    """What is compared."""

    async def open(self) -> None:
        """Connect."""

    def append(self, key: bytes, payload: bytes) -> Awaitable[Any]:
        """Append a record; the awaitable ends when it is durable."""

    async def poll(self) -> list[bytes]:
        """Return the payloads of the next records, after a quarter of a second at the latest."""

    async def commit(self) -> None:
        """Commit what was polled."""

    async def close(self) -> None:
        """Leave nothing behind."""


class KafkaPython:
    """The project's log on kafka-python, without Redis."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._log = KafkaMessageLog(settings)
        self._reader: LogReader | None = None

    async def open(self) -> None:
        """See Client."""
        await self._log.start()

    def append(self, key: bytes, payload: bytes) -> Awaitable[Any]:
        """See Client."""
        return self._log.append(NewRecord("t", key, payload))

    async def poll(self) -> list[bytes]:
        """See Client."""
        if self._reader is None:
            self._reader = self._log.reader("t", group=uuid4().hex)
        return [it.payload for it in await self._reader.poll(max_records=500, timeout_s=0.25)]

    async def commit(self) -> None:
        """See Client."""
        assert self._reader is not None
        await self._reader.commit()

    async def close(self) -> None:
        """See Client."""
        await self._log.close()


class Confluent:
    """librdkafka: callbacks in a thread that polls, the loop woken once for as many as there are."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._brokers = ",".join(settings.brokers)
        self._topic = settings.topic("t")
        self._delivered: deque[tuple[asyncio.Future[int], int, Any]] = deque()
        self._woken = False
        self._ended = threading.Event()
        self._threads = ThreadPoolExecutor(2)
        self._consumer: Any = None

    async def open(self) -> None:
        """See Client."""
        from confluent_kafka import Producer

        self._loop = asyncio.get_running_loop()
        self._producer = Producer(
            {"bootstrap.servers": self._brokers, "acks": "all", "enable.idempotence": True, "linger.ms": 0}
        )
        self._polling = self._loop.run_in_executor(self._threads, self._run)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._producer.poll(0.1)

    def append(self, key: bytes, payload: bytes) -> Awaitable[Any]:
        """See Client."""
        future: asyncio.Future[int] = self._loop.create_future()
        self._producer.produce(
            self._topic, payload, key, on_delivery=lambda error, message: self._post(future, message.offset(), error)
        )
        return future

    def _post(self, future: "asyncio.Future[int]", offset: int, error: Any) -> None:
        self._delivered.append((future, offset, error))
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False
        while self._delivered:
            future, offset, error = self._delivered.popleft()
            if error is None:
                future.set_result(offset)
            else:
                future.set_exception(RuntimeError(str(error)))

    async def poll(self) -> list[bytes]:
        """See Client."""
        return await self._loop.run_in_executor(self._threads, self._read)

    def _read(self) -> list[bytes]:
        if self._consumer is None:
            from confluent_kafka import Consumer

            self._consumer = Consumer(
                {
                    "bootstrap.servers": self._brokers,
                    "group.id": uuid4().hex,
                    "auto.offset.reset": "earliest",
                    "enable.auto.commit": False,
                    "fetch.wait.max.ms": 500,
                }
            )
            self._consumer.subscribe([self._topic])
        # Its own wait for a batch lasts until the batch is full: one record first, then what else is there.
        first = self._consumer.poll(0.25)
        if first is None:
            return []
        return [message.value() for message in [first, *self._consumer.consume(499, timeout=0)]]

    async def commit(self) -> None:
        """See Client."""
        # Not waited for: a synchronous commit was seen to hang for ever, in a group that was still forming.
        self._consumer.commit(asynchronous=True)

    async def close(self) -> None:
        """See Client."""
        self._ended.set()
        await self._polling
        self._producer.flush(5)
        if self._consumer is not None:
            self._consumer.close()
        self._threads.shutdown()


class Aiokafka:
    """Everything on the event loop."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._brokers = list(settings.brokers)
        self._topic = settings.topic("t")
        self._consumer: Any = None

    async def open(self) -> None:
        """See Client."""
        from aiokafka import AIOKafkaProducer

        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._brokers, acks="all", enable_idempotence=True, linger_ms=0, max_batch_size=131072
        )
        await self._producer.start()

    async def append(self, key: bytes, payload: bytes) -> Any:
        """See Client."""
        return await self._producer.send_and_wait(self._topic, payload, key)

    async def poll(self) -> list[bytes]:
        """See Client."""
        if self._consumer is None:
            from aiokafka import AIOKafkaConsumer

            self._consumer = AIOKafkaConsumer(
                self._topic,
                bootstrap_servers=self._brokers,
                group_id=uuid4().hex,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
            )
            await self._consumer.start()
        found = await self._consumer.getmany(timeout_ms=250, max_records=500)
        return [it.value for records in found.values() for it in records]

    async def commit(self) -> None:
        """See Client."""
        await self._consumer.commit()

    async def close(self) -> None:
        """See Client."""
        await self._producer.stop()
        if self._consumer is not None:
            await self._consumer.stop()


CLIENTS: Final[dict[str, tuple[str, Callable[[KafkaSettings], Client]]]] = {
    "kafka-python": ("kafka", KafkaPython),
    "confluent-kafka": ("confluent_kafka", Confluent),
    "aiokafka": ("aiokafka", Aiokafka),
}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _at(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000


async def _paced(client: Client, per_s: int, seconds: float) -> dict[str, float]:
    """Append at a steady rate; how long until each record was durable, and what it cost."""
    took: list[float] = []
    failed = 0

    async def one(n: int) -> None:
        nonlocal failed
        began = time.perf_counter()
        try:
            await client.append(_KEYS[n % len(_KEYS)], _PAYLOAD)
        except Exception:
            failed += 1
        took.append(time.perf_counter() - began)

    cpu_s, began = _cpu_s(), time.perf_counter()
    count = int(per_s * seconds)
    async with asyncio.TaskGroup() as tasks:
        for n in range(count):
            due = began + n / per_s
            if due > time.perf_counter():
                await asyncio.sleep(due - time.perf_counter())
            tasks.create_task(one(n))
    cpu_s = _cpu_s() - cpu_s
    return {
        f"{per_s}/s p50 ms": _at(took, 0.5),
        f"{per_s}/s p99 ms": _at(took, 0.99),
        f"{per_s}/s CPU s per 10,000": cpu_s / count * 10_000,
        f"{per_s}/s failed": failed,
    }


async def _full(client: Client, count: int) -> dict[str, float]:
    """Append with ``_WINDOW`` records on their way at any time."""
    window = asyncio.Semaphore(_WINDOW)

    async def one(n: int) -> None:
        with contextlib.suppress(Exception):
            await client.append(_KEYS[n % len(_KEYS)], _PAYLOAD)
        window.release()

    cpu_s, began = _cpu_s(), time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for n in range(count):
            await window.acquire()
            tasks.create_task(one(n))
    took_s = time.perf_counter() - began
    return {"append/s": count / took_s, "append CPU s per 10,000": (_cpu_s() - cpu_s) / count * 10_000}


async def _consume(client: Client, count: int) -> dict[str, float]:
    """Read what is there, in batches that are committed."""
    found = first = 0
    cpu_s, began = _cpu_s(), time.perf_counter()
    ends_at = began + _LONGEST_S
    while found < count and time.perf_counter() < ends_at:
        records = await client.poll()
        if records and not found:
            # Joining the group is not reading.
            cpu_s, began, first = _cpu_s(), time.perf_counter(), len(records)
        found += len(records)
        if records:
            await client.commit()
    took_s = time.perf_counter() - began
    read = found - first
    return {"read/s": read / took_s, "read CPU s per 10,000": (_cpu_s() - cpu_s) / read * 10_000}


async def _arrive(client: Client, per_s: int, seconds: float) -> dict[str, float]:
    """Append while reading; how long from the append to the reader."""
    took: list[float] = []
    count = int(per_s * seconds)

    async def read() -> None:
        ends_at = time.perf_counter() + seconds + _LONGEST_S
        while len(took) < count and time.perf_counter() < ends_at:
            records = await client.poll()
            now = time.time()
            took.extend(now - float(it.decode()) for it in records if len(it) < 100)
            if records:
                await client.commit()

    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read())
        for n in range(count):
            await asyncio.sleep(1 / per_s)
            tasks.create_task(asyncio.wait_for(client.append(_KEYS[n], repr(time.time()).encode()), 30))
        await reading
    return {"arrive p50 ms": _at(took, 0.5), "arrive p99 ms": _at(took, 0.99)}


async def _measure(name: str, settings: KafkaSettings, args: argparse.Namespace) -> dict[str, float]:
    client = CLIENTS[name][1](settings)
    await client.open()
    # Connections, metadata, producer id.
    await asyncio.gather(*(client.append(key, _PAYLOAD) for key in _KEYS[:500]))
    paced = await _paced(client, 500, args.seconds)
    full = await _full(client, args.records)
    consume = await _consume(client, 500 + int(500 * args.seconds) + args.records)
    arrive = await _arrive(client, 200, args.seconds)
    await client.close()
    return paced | full | consume | arrive


def _settings(brokers: str) -> KafkaSettings:
    return KafkaSettings(
        tuple(brokers.split(",")),
        prefix=f"bench-{uuid4().hex[:8]}-",
        partitions=_PARTITIONS,
        replication=1,
        min_isr=1,
        retention=timedelta(hours=1),
        topics=(Topic("t"),),
    )


def _run_one(name: str, args: argparse.Namespace) -> dict[str, float]:
    """Measure one client in a process of its own, on a topic of its own."""
    command = [sys.executable, "-m", "bench.kafka_clients", f"--brokers={args.brokers}", f"--one={name}"]
    command += [f"--seconds={args.seconds}", f"--records={args.records}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=600)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> int:
    """Print a table of medians."""
    parser = argparse.ArgumentParser(description="Compare Kafka clients as this project uses one.")
    parser.add_argument("--brokers", required=True, help="host:port, separated by commas")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the paced parts")
    parser.add_argument("--records", type=int, default=20_000, help="records at full speed")
    parser.add_argument("--rounds", type=int, default=3, help="times that each client has its turn")
    parser.add_argument("--one", choices=CLIENTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        settings = _settings(args.brokers)
        with Topics(settings) as topics:
            topics.mend(topics.differences())
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(json.dumps(runner.run(_measure(args.one, settings, args))))
        return 0
    names = [name for name, (module, _) in CLIENTS.items() if importlib.util.find_spec(module) is not None]
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(args.rounds):
        for name in names:
            rounds[name].append(_run_one(name, args))
    print("| | " + " | ".join(names) + " |")
    print("|---|" + "---|" * len(names))
    for figure in rounds[names[0]][0]:
        medians = [statistics.median(turn[figure] for turn in rounds[name]) for name in names]
        print(f"| {figure} | " + " | ".join(f"{it:,.0f}" if it >= 100 else f"{it:.2f}" for it in medians) + " |")
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
