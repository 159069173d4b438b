"""A broker that freezes, dies and comes back: what was acknowledged is there, and everything recovers by itself."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY
from redis import Redis

from messaging.adapters.kafka import writer
from messaging.adapters.kafka.log import KafkaMessageLog
from messaging.adapters.kafka.settings import KafkaSettings
from messaging.ports import LogUnavailable, Position
from tests.adapters.kafka.conftest import LEFT_SOCKETS, make_topics, new_settings, record

pytestmark = [pytest.mark.slow, pytest.mark.logs_errors, LEFT_SOCKETS]


@pytest.fixture
async def settings(own_broker: Any, redis_url: str) -> AsyncIterator[KafkaSettings]:
    """Settings of a log on a broker that runs now, whatever was done to it; and it does afterwards."""
    own_broker.resume()
    await asyncio.to_thread(own_broker.start)
    it = new_settings(own_broker.environment()["CHAT_KAFKA_BROKERS"], redis_url=redis_url)
    await asyncio.to_thread(make_topics, it)
    yield it
    own_broker.resume()


@pytest.fixture
async def log(settings: KafkaSettings, open_log: Callable[[KafkaSettings], KafkaMessageLog]) -> KafkaMessageLog:
    log = open_log(settings)
    await log.start()
    return log


class Sender:
    """Appends numbers, several at a time, and tries each again with its key until it is in the log."""

    def __init__(self, log: KafkaMessageLog) -> None:
        self.acked: dict[int, Position] = {}
        self.trying: set[int] = set()
        self.failures = 0
        self._log = log
        self._next = 0
        self._tasks = [asyncio.create_task(self._run(lane)) for lane in range(8)]
        self._stopping = False

    async def _run(self, lane: int) -> None:
        while not self._stopping:
            number, self._next = self._next, self._next + 1
            self.trying.add(number)
            while number not in self.acked:
                try:
                    self.acked[number] = await self._log.append(
                        record(str(number), key=f"lane {lane}", dedup=b"%d" % number)
                    )
                except LogUnavailable:
                    self.failures += 1
            self.trying.discard(number)

    async def until_acked(self, count: int) -> None:
        """Wait until ``count`` more are acknowledged."""
        target = len(self.acked) + count
        async with asyncio.timeout(60):
            while len(self.acked) < target:  # noqa: ASYNC110  # the sender's lanes are eight events
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Finish what was begun."""
        self._stopping = True
        async with asyncio.timeout(60):
            await asyncio.gather(*self._tasks)


async def in_log(log: KafkaMessageLog) -> dict[tuple[int, int], tuple[int, int]]:
    """Return (number, time) of each record by its place."""
    reader = log.reader("t", group=f"g{time.monotonic()}")
    found: dict[tuple[int, int], tuple[int, int]] = {}
    end = await log.lag("t", group="nobody")
    async with asyncio.timeout(60):
        while len(found) < end:
            for it in await reader.poll(max_records=1000, timeout_s=2):
                found[it.partition, it.offset] = int(it.payload), it.ts_ms
    await reader.close()
    return found


def missing(acked: dict[int, Position], found: dict[tuple[int, int], tuple[int, int]]) -> list[int]:
    return [n for n, it in acked.items() if found.get((it.partition, it.offset)) != (n, it.ts_ms)]


async def test_a_frozen_broker_costs_time_and_nothing_else(own_broker: Any, log: KafkaMessageLog) -> None:
    sender = Sender(log)
    await sender.until_acked(200)
    own_broker.pause()
    began = time.monotonic()
    with pytest.raises(LogUnavailable, match="in time"):
        await log.append(record("100000"))
    assert 3.5 < time.monotonic() - began < 5, "below the 5 s that a sender waits"
    while sender.failures < 16:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    own_broker.resume()
    await sender.until_acked(200)
    await sender.stop()
    found = await in_log(log)
    assert missing(sender.acked, found) == []
    copies = Counter(number for number, _ in found.values())
    assert max(copies.values()) == 1, "the tries of a number waited for its one record"
    assert log.is_ready()


async def test_a_broker_that_is_killed_keeps_what_it_acknowledged(
    own_broker: Any, settings: KafkaSettings, open_log: Callable[[KafkaSettings], KafkaMessageLog]
) -> None:
    before, meanwhile = open_log(settings), open_log(settings)
    sender = Sender(before)
    await sender.until_acked(200)
    await asyncio.to_thread(own_broker.kill)

    # One that starts without a broker comes up all the same.
    await meanwhile.start()
    assert not meanwhile.is_ready()
    reader = meanwhile.reader("t", group="g")
    assert await reader.poll(max_records=10, timeout_s=0.1) == []
    while sender.failures < 8:  # noqa: ASYNC110
        await asyncio.sleep(0.02)

    await asyncio.to_thread(own_broker.start)
    await sender.until_acked(200)
    await sender.stop()
    async with asyncio.timeout(20):
        while not meanwhile.is_ready():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert missing(sender.acked, await in_log(meanwhile)) == []
    await meanwhile.append(record("-1"))
    found: set[int] = set()
    async with asyncio.timeout(20):
        while -1 not in found:
            with contextlib.suppress(LogUnavailable):
                found |= {int(it.payload) for it in await reader.poll(max_records=1000, timeout_s=5)}
    assert set(sender.acked) <= found


async def test_a_producer_that_decides_nothing_is_given_up(
    monkeypatch: pytest.MonkeyPatch, own_broker: Any, log: KafkaMessageLog, settings: KafkaSettings
) -> None:
    """kafka-python's own way out, after a batch's delivery time, is a producer that never sends again.

    What it had on its way is sent again, and may be in the log twice. Which of the two counts, the router decides, so
    Redis is not told.
    """
    monkeypatch.setattr(writer, "_PATIENCE_S", 5.0)
    replaced = REGISTRY.get_sample_value("chat_log_producers_replaced_total") or 0
    sender = Sender(log)
    await sender.until_acked(200)
    own_broker.pause()
    async with asyncio.timeout(30):
        while REGISTRY.get_sample_value("chat_log_producers_replaced_total") == replaced:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    doubtful = set(sender.trying)
    own_broker.resume()
    await sender.until_acked(200)
    await sender.stop()
    found = await in_log(log)
    assert missing(sender.acked, found) == []
    assert set(sender.acked) == {number for number, _ in found.values()}
    await log.close()
    with Redis.from_url(settings.redis_url) as client:
        known = {n for n in sender.acked if client.exists(f"{settings.prefix}position:t:{n}")}
    assert len(doubtful) == 8
    assert known == set(sender.acked) - doubtful


async def test_readers_wait_calmly_for_a_frozen_broker(own_broker: Any, log: KafkaMessageLog) -> None:
    reader = log.reader("t", group="g")
    await log.append(record("1"))
    async with asyncio.timeout(20):
        while not await reader.poll(max_records=10, timeout_s=5):
            pass
    await reader.commit()
    own_broker.pause()
    waiting = [asyncio.ensure_future(log.append(record(str(n), key=str(n)))) for n in range(20)]
    used = time.process_time()
    began = time.monotonic()
    while time.monotonic() - began < 4:
        assert await reader.poll(max_records=10, timeout_s=0.5) == []
    assert time.process_time() - used < 1.0, "of 4 s; without help kafka-python's two loops take nearly all of them"
    began = time.monotonic()
    await reader.close()
    assert time.monotonic() - began < 5
    await asyncio.gather(*waiting, return_exceptions=True)
    own_broker.resume()


async def test_a_commit_without_an_answer_is_an_error_and_the_next_one_makes_up_for_it(
    own_broker: Any, log: KafkaMessageLog
) -> None:
    reader = log.reader("t", group="g")
    await log.append(record("1"))
    async with asyncio.timeout(20):
        while not await reader.poll(max_records=10, timeout_s=5):
            pass
    own_broker.pause()
    with pytest.raises(LogUnavailable):
        await reader.commit()
    own_broker.resume()
    await reader.commit()
    assert await log.lag("t", group="g") == 0
