"""What every MessageLog promises (messaging/ports.py). A new adapter adds a factory to ``FACTORIES``."""

import asyncio
import functools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from messaging.domain.ids import message_id_at
from messaging.ports import LogReader, MessageLog, NewRecord, Position, Record, RecordTooLarge
from tests.contracts import logs

#: Opens the log of one test; calling it again opens the same log anew, as after a restart.
Open = Callable[[], MessageLog]


@pytest.fixture(params=logs.PARAMETERS)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[logs.Where]:
    """Where the log of this test is, for this process and others."""
    with logs.FACTORIES[request.param](request, tmp_path) as it:
        yield it


@pytest.fixture
def open_log(where: logs.Where) -> Open:
    return functools.partial(logs.open_log, where)


@pytest.fixture
async def log(open_log: Open) -> AsyncIterator[MessageLog]:
    it = open_log()
    await it.start()
    yield it
    await it.close()


def record(payload: str, *, key: str = "k", topic: str = "t", dedup: bytes | None = None) -> NewRecord:
    return NewRecord(topic, key.encode(), payload.encode(), dedup)


async def read(reader: LogReader, count: int) -> list[Record]:
    """Return the next ``count`` records, within ten seconds."""
    found: list[Record] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += await reader.poll(max_records=count - len(found), timeout_s=5)
    return found


async def test_what_was_appended_is_read_in_the_order_of_the_calls(log: MessageLog) -> None:
    waiting = [asyncio.ensure_future(log.append(record(str(n), key=f"k{n % 3}"))) for n in range(300)]
    positions = await asyncio.gather(*waiting)
    reader = log.reader("t", group="g")
    found = await read(reader, 300)
    for key in (b"k0", b"k1", b"k2"):
        mine = [int(it.payload) for it in found if it.key == key]
        assert mine == sorted(mine)
        assert len(mine) == 100
    places = {int(it.payload): Position(it.partition, it.offset, it.ts_ms) for it in found}
    assert places == dict(enumerate(positions)), "the appender and the reader see the same place and time"
    await reader.close()


async def test_ids_follow_the_log(log: MessageLog) -> None:
    positions = [await log.append(record(str(n))) for n in range(50)]
    found = [message_id_at(ts_ms=it.ts_ms, sub=0, offset=it.offset) for it in positions]
    assert found == sorted(set(found))


async def test_a_key_that_repeats_gives_the_first_place(log: MessageLog) -> None:
    first, again = await asyncio.gather(log.append(record("a", dedup=b"1")), log.append(record("b", dedup=b"1")))
    later = await log.append(record("c", dedup=b"1"))
    other = await log.append(record("d", dedup=b"2"))
    assert not first.duplicate
    for copy in (again, later):
        assert copy.duplicate
        assert (copy.partition, copy.offset, copy.ts_ms) == (first.partition, first.offset, first.ts_ms)
    assert not other.duplicate
    reader = log.reader("t", group="g")
    assert [it.payload for it in await read(reader, 2)] == [b"a", b"d"]
    assert await reader.poll(max_records=10, timeout_s=0) == []
    await reader.close()


async def test_a_key_repeats_across_a_restart(open_log: Open) -> None:
    log = open_log()
    first = await log.append(record("a", dedup=b"1"))
    await log.close()
    log = open_log()
    again = await log.append(record("a", dedup=b"1"))
    assert (again.offset, again.ts_ms, again.duplicate) == (first.offset, first.ts_ms, True)
    await log.close()


async def test_dedupe_keys_of_topics_are_apart(log: MessageLog) -> None:
    await log.append(record("a", topic="t", dedup=b"1"))
    assert not (await log.append(record("a", topic="u", dedup=b"1"))).duplicate


async def test_a_group_goes_on_after_its_last_commit(open_log: Open) -> None:
    log = open_log()
    for n in range(10):
        await log.append(record(str(n)))
    reader = log.reader("t", group="g")
    await read(reader, 4)
    await reader.commit()
    assert [it.payload for it in await read(reader, 3)] == [b"4", b"5", b"6"]
    # No commit: as after a crash, a new reader gets these again.
    await reader.close()
    await log.close()
    log = open_log()
    reader = log.reader("t", group="g")
    assert [it.payload for it in await read(reader, 6)] == [b"4", b"5", b"6", b"7", b"8", b"9"]
    await reader.close()
    await log.close()


async def test_groups_are_independent_and_lag_is_what_they_have_not_committed(log: MessageLog) -> None:
    for n in range(5):
        await log.append(record(str(n), key=str(n)))
    one, two = log.reader("t", group="one"), log.reader("t", group="two")
    await read(one, 5)
    await one.commit()
    assert len(await read(two, 5)) == 5
    assert await log.lag("t", group="one") == 0
    assert await log.lag("t", group="two") == 5
    await one.close()
    await two.close()


async def test_a_waiting_reader_is_woken(log: MessageLog) -> None:
    reader = log.reader("t", group="g")
    waiting = asyncio.ensure_future(reader.poll(max_records=10, timeout_s=10))
    assert await reader.poll(max_records=10, timeout_s=0) == []
    await log.append(record("late"))
    assert [it.payload for it in await waiting] == [b"late"]
    await reader.close()


async def test_a_poll_without_records_ends_in_time(log: MessageLog) -> None:
    reader = log.reader("t", group="g")
    async with asyncio.timeout(3):
        assert await reader.poll(max_records=10, timeout_s=0.05) == []
    await reader.close()


async def test_records_of_another_opener_are_seen(open_log: Open, log: MessageLog) -> None:
    reader = log.reader("t", group="g")
    assert await reader.poll(max_records=10, timeout_s=0) == []
    other = open_log()
    await other.append(record("from elsewhere"))
    assert [it.payload for it in await read(reader, 1)] == [b"from elsewhere"]
    await other.close()
    await reader.close()


async def test_two_loops_append(log: MessageLog) -> None:
    elsewhere: list[Position] = []

    async def append() -> None:
        elsewhere.extend(await asyncio.gather(*(log.append(record(f"there {n}", key=str(n))) for n in range(50))))

    thread = threading.Thread(target=lambda: asyncio.run(append()))
    thread.start()
    here = await asyncio.gather(*(log.append(record(f"here {n}", key=str(n))) for n in range(50)))
    await asyncio.to_thread(thread.join)
    assert len({(it.partition, it.offset) for it in [*here, *elsewhere]}) == 100


async def test_giving_up_the_wait_does_not_withdraw_the_record(log: MessageLog) -> None:
    asyncio.ensure_future(log.append(record("kept"))).cancel()
    reader = log.reader("t", group="g")
    assert [it.payload for it in await read(reader, 1)] == [b"kept"]
    await reader.close()


async def test_a_record_over_the_limit_is_refused(log: MessageLog) -> None:
    with pytest.raises(RecordTooLarge):
        await log.append(record("x" * (1024 * 1024 + 1)))
    await log.append(record("the log goes on"))


async def test_trim_deletes_what_is_old(log: MessageLog) -> None:
    old = await log.append(record("old", dedup=b"1"))
    assert await log.trim(before_ms=old.ts_ms) == 0
    assert await log.trim(before_ms=old.ts_ms + 1) == 1
    assert not (await log.append(record("new", dedup=b"1"))).duplicate
    reader = log.reader("t", group="g")
    assert [it.payload for it in await read(reader, 1)] == [b"new"]
    await reader.close()


async def test_offsets_go_on_after_everything_was_trimmed(open_log: Open) -> None:
    log = open_log()
    before = await log.append(record("old"))
    await log.trim(before_ms=before.ts_ms + 1)
    await log.close()
    log = open_log()
    after = await log.append(record("new"))
    assert (after.offset, after.ts_ms) > (before.offset, before.ts_ms - 1)
    assert after.offset == before.offset + 1
    await log.close()


_APPEND_UNTIL_KILLED = """
import asyncio, json, sys
from messaging.ports import NewRecord
from tests.contracts import logs

async def main():
    log = logs.open_log(json.loads(sys.argv[1]))
    async def one(n):
        place = await log.append(NewRecord("t", b"k", str(n).encode(), b"%d" % n))
        print(n, place.partition, place.offset, place.ts_ms, flush=True)
    n = 0
    while True:
        await asyncio.gather(*(one(n + i) for i in range(20)))
        n += 20

asyncio.run(main())
"""


def _append_until_killed(where: logs.Where) -> list[tuple[int, ...]]:
    """Return what a process said was appended before it was killed."""
    command = [sys.executable, "-c", _APPEND_UNTIL_KILLED, json.dumps(where)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        acked = [child.stdout.readline() for _ in range(500)]
        os.kill(child.pid, signal.SIGKILL)
        acked += child.stdout.read().splitlines(keepends=True)
    return [tuple(map(int, line.split())) for line in acked if line.endswith("\n")]


async def test_what_was_acked_survives_a_kill(where: logs.Where, log: MessageLog) -> None:
    acked = await asyncio.to_thread(_append_until_killed, where)
    assert len(acked) >= 500
    reader = log.reader("t", group="g")
    found: set[tuple[int, ...]] = set()
    async with asyncio.timeout(20):
        while not set(acked) <= found:
            records = await reader.poll(max_records=500, timeout_s=5)
            assert records, f"{len(set(acked) - found)} of {len(acked)} acknowledged records are not there"
            found |= {(int(it.payload), it.partition, it.offset, it.ts_ms) for it in records}
    await reader.close()
