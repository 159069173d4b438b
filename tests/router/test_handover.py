"""What polls leave for other topics is in the log before their place is committed, whatever fails in between."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from messaging.domain import events
from messaging.domain.ids import ConversationId, MessageId
from messaging.ports import TOPIC_SEARCH, LogUnavailable, NewRecord, Position
from messaging.router import handover as implementation
from messaging.router.handover import Handover, Left


class Log:
    """A log whose appends the test decides, as a broker that is slow or away would."""

    def __init__(self) -> None:
        self.asked: list[tuple[NewRecord, asyncio.Future[Position]]] = []
        self.came = asyncio.Event()

    def append(self, record: NewRecord) -> "asyncio.Future[Position]":
        future: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        self.asked.append((record, future))
        self.came.set()
        return future

    async def next(self) -> tuple[NewRecord, "asyncio.Future[Position]"]:
        async with asyncio.timeout(5):
            while not self.asked:
                self.came.clear()
                await self.came.wait()
        return self.asked.pop(0)


def left(*messages: int) -> Left:
    return Left([], [], [(ConversationId(1), MessageId(n)) for n in messages])


def touched(record: NewRecord) -> list[int]:
    assert record.topic == TOPIC_SEARCH
    return [message for _, message in events.decode_search(record.payload).messages]


@pytest.fixture
async def started() -> AsyncIterator[tuple[Log, Handover]]:
    log = Log()
    handover = Handover(log)  # type: ignore[arg-type]
    running = asyncio.create_task(handover.run())
    yield log, handover
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_next_poll_does_not_wait_and_a_commit_does(started: tuple[Log, Handover]) -> None:
    log, handover = started
    await handover.settled()
    await handover.give(left(1))
    record, future = await log.next()
    # More polls come while the first is on its way; together they are one record.
    await handover.give(left(2))
    await handover.give(left(3))
    settled = asyncio.create_task(handover.settled())
    future.set_result(Position(0, 0, 0))
    assert touched(record) == [1]
    record, future = await log.next()
    assert touched(record) == [2, 3]
    assert not settled.done()
    future.set_result(Position(0, 1, 0))
    async with asyncio.timeout(5):
        await settled


@pytest.mark.logs_errors
async def test_what_failed_is_appended_again_before_anything_is_settled(
    monkeypatch: pytest.MonkeyPatch, started: tuple[Log, Handover]
) -> None:
    monkeypatch.setattr(implementation, "_FIRST_WAIT_S", 0.0)
    log, handover = started
    await handover.give(left(1))
    _, future = await log.next()
    future.set_exception(LogUnavailable("away"))
    record, future = await log.next()
    assert touched(record) == [1]
    assert not handover._settled.is_set()
    future.set_result(Position(0, 0, 0))
    async with asyncio.timeout(5):
        await handover.settled()


async def test_while_the_log_is_away_polls_wait_in_the_end(
    monkeypatch: pytest.MonkeyPatch, started: tuple[Log, Handover]
) -> None:
    monkeypatch.setattr(implementation, "_MOST", 2)
    log, handover = started
    await handover.give(left(1))
    _, future = await log.next()
    await handover.give(left(2))
    await handover.give(left(3))
    waiting = asyncio.create_task(handover.give(left(4)))
    await asyncio.sleep(0)
    assert not waiting.done()
    future.set_result(Position(0, 0, 0))
    async with asyncio.timeout(5):
        await waiting


async def test_nothing_is_no_record(started: tuple[Log, Handover]) -> None:
    log, handover = started
    await handover.give(left())
    await handover.settled()
    assert log.asked == []
