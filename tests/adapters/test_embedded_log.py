"""What the embedded log sees to by itself: ids that rise whatever the machine's clock does and however long it runs."""

import asyncio
import sqlite3
import time
from pathlib import Path

from messaging.adapters.embedded.log import SqliteMessageLog
from messaging.domain.ids import OFFSET_BITS, message_id_at
from messaging.ports import NewRecord, Position

WRAP = 1 << OFFSET_BITS


async def _append(path: Path, count: int) -> list[Position]:
    """Append records at once, in a process of its own as far as the log knows."""
    log = SqliteMessageLog(path)
    positions = await asyncio.gather(*(log.append(NewRecord("t", b"k", b"x")) for _ in range(count)))
    await log.close()
    return list(positions)


def _go_on_at(path: Path, *, offset: int, ts_ms: int) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE ends SET next_offset = ?, last_ts_ms = ?", (offset, ts_ms))


def _ids(positions: list[Position]) -> list[int]:
    return [message_id_at(ts_ms=it.ts_ms, sub=0, offset=it.offset) for it in positions]


async def test_ids_rise_where_the_bits_of_the_offset_begin_anew(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite3"
    await _append(path, 1)
    # A clock that is an hour ahead of ours: all of these fall into its last millisecond.
    ahead_ms = int(time.time() * 1000) + 3_600_000
    _go_on_at(path, offset=WRAP - 2, ts_ms=ahead_ms)
    positions = await _append(path, 5)
    assert [it.offset for it in positions] == list(range(WRAP - 2, WRAP + 3))
    assert [it.ts_ms - ahead_ms for it in positions] == [0, 0, 1, 1, 1]
    assert _ids(positions) == sorted(set(_ids(positions)))


async def test_a_clock_that_was_set_back_does_not_set_back_the_ids(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite3"
    [first] = await _append(path, 1)
    ahead_ms = first.ts_ms + 3_600_000
    _go_on_at(path, offset=1, ts_ms=ahead_ms)
    positions = [first, *await _append(path, 3)]
    assert [it.ts_ms for it in positions[1:]] == [ahead_ms] * 3
    assert _ids(positions) == sorted(set(_ids(positions)))
