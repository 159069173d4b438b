"""Partitions come and go between readers of a group, and nothing is lost, nor read again once it is committed."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from messaging.adapters.kafka.log import KafkaMessageLog
from messaging.adapters.kafka.settings import KafkaSettings
from messaging.ports import LogReader, Record
from tests.adapters.kafka.conftest import LEFT_SOCKETS, record
from tests.conftest import eventually

pytestmark = [pytest.mark.logs_errors, LEFT_SOCKETS]
Open = Callable[[KafkaSettings], KafkaMessageLog]
Install = Callable[..., KafkaSettings]
PARTITIONS = {0, 1, 2, 3}


@pytest.fixture
def log(installation: Install, open_log: Open) -> KafkaMessageLog:
    return open_log(installation())


class Pump:
    """Polls a reader until it is stopped, and commits or not."""

    def __init__(self, reader: LogReader, *, commits: bool = True) -> None:
        self.reader = reader
        self.found: list[Record] = []
        #: The payloads of each poll.
        self.polls: list[set[bytes]] = []
        self._commits = commits
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            records = await self.reader.poll(max_records=500, timeout_s=1)
            self.found += records
            self.polls.append({it.payload for it in records})
            if records and self._commits:
                await self.reader.commit()

    async def stop(self) -> None:
        """Stop polling; the reader stays in the group."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    @property
    def payloads(self) -> list[int]:
        return [int(it.payload) for it in self.found]


@pytest.fixture
async def pump() -> AsyncIterator[Callable[..., Pump]]:
    made: list[Pump] = []

    def make(reader: LogReader, **options: Any) -> Pump:
        made.append(Pump(reader, **options))
        return made[-1]

    yield make
    for it in made:
        await it.stop()


async def until(what: Callable[[], Any], timeout_s: float = 20.0) -> None:
    """Return once ``what`` holds: brokers and other threads bring it about, so there is nothing to await."""
    async with asyncio.timeout(timeout_s):
        while not what():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def all_is_committed(log: KafkaMessageLog) -> None:
    """Return once it is: a pump shows what it has read before it commits that."""

    async def nothing_is_left() -> bool:
        return await log.lag("t", group="g") == 0

    await eventually(nothing_is_left, timeout_s=20.0)


async def fill(log: KafkaMessageLog, numbers: range) -> set[int]:
    """Append a record for each number, over all partitions; return the partitions."""
    places = await asyncio.gather(*(log.append(record(str(n), key=str(n))) for n in numbers))
    assert {it.partition for it in places} == PARTITIONS
    return set(numbers)


async def test_a_second_reader_takes_its_share_and_nothing_is_lost(log: KafkaMessageLog, pump: Any) -> None:
    one = pump(log.reader("t", group="g"))
    await fill(log, range(100))
    await until(lambda: len(one.found) == 100)
    alone = one.reader.generation
    assert alone > 0
    two = pump(log.reader("t", group="g"))
    sent = 100

    async def shared() -> bool:
        nonlocal sent
        await fill(log, range(sent, sent + 100))
        sent += 100
        return bool(two.found)

    async with asyncio.timeout(20):
        while not await shared():
            pass
    await fill(log, range(sent, sent + 100))
    sent += 100
    await until(lambda: set(one.payloads) | set(two.payloads) == set(range(sent)))
    assert one.reader.generation > alone, "some of its partitions went"
    assert two.reader.generation > 0
    assert len({it.partition for it in two.found}) == 2
    read = Counter(it.payload for each in (one, two) for it in each.found)
    again = {payload for payload, times in read.items() if times > 1}
    # Of one poll at most: its partitions had gone when it was to be committed.
    assert any(again <= poll for poll in one.polls), "and what was committed was not read again"

    # It leaves, and the first takes over.
    both = one.reader.generation
    await two.stop()
    began = time.monotonic()
    await two.reader.close()
    assert time.monotonic() - began < 3
    await fill(log, range(sent, sent + 100))
    await until(lambda: set(one.payloads) | set(two.payloads) == set(range(sent + 100)))
    assert one.reader.generation > both
    await all_is_committed(log)


async def test_a_commit_leaves_out_what_was_taken_away(log: KafkaMessageLog, pump: Any) -> None:
    """Otherwise it would set the new reader's partitions back to where the old one had been."""
    reader = log.reader("t", group="g")
    hoarder = pump(reader, commits=False)
    await fill(log, range(100))
    await until(lambda: len(hoarder.found) == 100)
    two = pump(log.reader("t", group="g"))
    # Not committed by the first, so the second reads its share again, and commits it.
    await until(lambda: len({it.partition for it in two.found}) == 2)
    taken = {it.partition for it in two.found}
    await fill(log, range(100, 200))
    await until(lambda: set(two.payloads) | set(hoarder.payloads) == set(range(200)))
    await hoarder.stop()
    await reader.commit()
    await all_is_committed(log)
    await two.stop()
    for it in (reader, two.reader):
        await it.close()
    fresh = pump(log.reader("t", group="g"))
    await fill(log, range(200, 300))
    await until(lambda: len(fresh.found) >= 100)
    assert set(fresh.payloads) == set(range(200, 300)), f"nothing of {taken} comes again"


async def test_a_partition_that_comes_back_is_read_from_the_commit(log: KafkaMessageLog, pump: Any) -> None:
    hoarder = pump(log.reader("t", group="g"), commits=False)
    await fill(log, range(100))
    await until(lambda: len(hoarder.found) == 100)
    two = pump(log.reader("t", group="g"))
    await until(lambda: len({it.partition for it in two.found}) == 2)
    taken = {it.partition for it in two.found}
    await until(lambda: len(two.found) == len([it for it in hoarder.found if it.partition in taken]))
    await two.stop()
    # Stopped perhaps between a poll and its commit, and a commit in the middle of a rebalance counts with the next.
    async with asyncio.timeout(20):
        while await log.lag("t", group="g") > 100 - len(two.found):
            await two.reader.commit()
    await two.reader.close()
    generation = hoarder.reader.generation
    await fill(log, range(100, 200))
    await until(lambda: set(range(100, 200)) <= set(hoarder.payloads))
    assert hoarder.reader.generation > generation
    times = Counter(it.payload for it in hoarder.found if it.partition in taken)
    assert set(times.values()) == {1}, "what the other had read and committed did not come again"


async def test_a_poll_that_is_cancelled_loses_nothing(log: KafkaMessageLog) -> None:
    reader = log.reader("t", group="g")
    await fill(log, range(100))
    found: list[Record] = []
    async with asyncio.timeout(20):
        while len(found) < 100:
            poll = asyncio.ensure_future(reader.poll(max_records=7, timeout_s=5))
            await asyncio.sleep(0.001)
            poll.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                found += await poll
            found += await reader.poll(max_records=7, timeout_s=0.01)
    assert sorted(int(it.payload) for it in found) == list(range(100))
    for partition in PARTITIONS:
        offsets = [it.offset for it in found if it.partition == partition]
        assert offsets == sorted(offsets)
    await reader.commit()
    assert await log.lag("t", group="g") == 0


async def test_a_poll_after_a_pause_brings_all_that_came_meanwhile(log: KafkaMessageLog) -> None:
    reader = log.reader("t", group="g")
    found: list[Record] = []
    await fill(log, range(20))
    async with asyncio.timeout(20):
        while len(found) < 20:
            found += await reader.poll(max_records=500, timeout_s=5)
    # The first is what kafka-python has asked for ahead, and the others came after it.
    await log.append(record("20", key="20"))
    await fill(log, range(21, 60))
    assert {int(it.payload) for it in await reader.poll(max_records=500, timeout_s=5)} == set(range(20, 60))


async def test_what_was_read_ahead_and_not_returned_is_not_committed(log: KafkaMessageLog) -> None:
    reader = log.reader("t", group="g")
    await fill(log, range(20))
    async with asyncio.timeout(20):
        while not (first := await reader.poll(max_records=1, timeout_s=5)):
            pass
    # Goes on in its thread, for the next poll.
    await reader.poll(max_records=20, timeout_s=0)
    await reader.commit()
    assert len(first) == 1
    assert await log.lag("t", group="g") == 19


@pytest.mark.slow
async def test_a_long_apply_keeps_its_partitions(log: KafkaMessageLog, pump: Any) -> None:
    """Heartbeats do not wait for the next poll: longer than the session may be silent (10 s), nobody takes over."""
    reader = log.reader("t", group="g")
    await fill(log, range(100))
    found: list[Record] = []
    async with asyncio.timeout(20):
        while len(found) < 100:
            found += await reader.poll(max_records=500, timeout_s=5)
    generation = reader.generation
    await asyncio.sleep(11)
    await reader.commit()
    assert await reader.poll(max_records=10, timeout_s=0.5) == []
    assert reader.generation == generation
    assert await log.lag("t", group="g") == 0
