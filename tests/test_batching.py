"""Many questions as one query: shared, bounded, and independent of who gives up waiting."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import pytest

from messaging.batching import Batcher
from messaging.domain.errors import ChatError, NotFound, Unavailable
from messaging.threads import DatabaseThreads
from tests.conftest import eventually


class Store:
    """What is asked. While ``gate`` is closed its answers are held back, as by a slow query."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.failing = False

    def load(self, keys: Sequence[int]) -> Mapping[int, str | ChatError]:
        self.asked.append(list(keys))
        assert self.gate.wait(5)
        if self.failing:
            raise OSError("the store is away")
        return {key: NotFound("odd") if key % 2 else f"value {key}" for key in keys}


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def make(store: Store) -> AsyncIterator[Callable[..., Batcher[int, str]]]:
    threads = DatabaseThreads(size=1)
    yield lambda **bounds: Batcher(threads, store.load, **bounds)
    store.gate.set()
    await asyncio.to_thread(threads.close)


async def test_a_key_has_its_value_or_its_refusal(make: Any) -> None:
    batcher = make()
    assert await batcher.get(2) == "value 2"
    with pytest.raises(NotFound, match="odd"):
        await batcher.get(3)


async def test_who_asks_at_once_shares_a_query_and_who_asks_the_same_shares_a_key(make: Any, store: Store) -> None:
    batcher = make()
    found = await asyncio.gather(*(batcher.get(key) for key in (2, 4, 2, 5, 4)), return_exceptions=True)
    assert [str(it) for it in found] == ["value 2", "value 4", "value 2", "odd", "value 4"]
    assert store.asked == [[2, 4, 5]]


async def test_what_is_asked_during_a_query_is_asked_of_the_next(make: Any, store: Store) -> None:
    """A value that changed while a query ran is not answered from that query."""
    batcher = make()
    store.gate.clear()
    first = asyncio.ensure_future(batcher.get(2))
    await eventually(lambda: store.asked)
    later = [asyncio.ensure_future(batcher.get(key)) for key in (2, 6)]
    await asyncio.sleep(0)
    store.gate.set()
    assert await asyncio.gather(first, *later) == ["value 2", "value 2", "value 6"]
    assert store.asked == [[2], [2, 6]]


async def test_a_query_has_at_most_so_many_keys(make: Any, store: Store) -> None:
    batcher = make(max_batch=10)
    await asyncio.gather(*(batcher.get(2 * key) for key in range(25)))
    assert [len(keys) for keys in store.asked] == [10, 10, 5]
    assert [key for keys in store.asked for key in keys] == [2 * key for key in range(25)], "in the order of asking"


async def test_past_its_bound_it_refuses_at_once(make: Any, store: Store) -> None:
    batcher = make(max_waiting=2)
    store.gate.clear()
    first = asyncio.ensure_future(batcher.get(2))
    await eventually(lambda: store.asked)
    waiting = [asyncio.ensure_future(batcher.get(key)) for key in (4, 6)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as refusal:
        await batcher.get(8)
    assert refusal.value.retry_after
    same = asyncio.ensure_future(batcher.get(4))
    await asyncio.sleep(0)
    store.gate.set()
    assert await asyncio.gather(first, *waiting, same) == ["value 2", "value 4", "value 6", "value 4"]
    assert await batcher.get(8) == "value 8"


@pytest.mark.logs_errors
async def test_a_query_that_fails_is_unavailable_to_all_who_wait_and_the_next_works(make: Any, store: Store) -> None:
    batcher = make()
    store.failing = True
    found = await asyncio.gather(batcher.get(2), batcher.get(3), return_exceptions=True)
    assert [type(it) for it in found] == [Unavailable, Unavailable]
    assert isinstance(found[0], Unavailable)
    assert found[0].retry_after
    assert isinstance(found[0].__cause__, OSError)
    assert "away" not in found[0].detail
    store.failing = False
    assert await batcher.get(2) == "value 2"


async def test_who_gives_up_takes_the_answer_from_nobody(make: Any, store: Store) -> None:
    batcher = make()
    store.gate.clear()
    leaves, stays = asyncio.ensure_future(batcher.get(2)), asyncio.ensure_future(batcher.get(2))
    await eventually(lambda: store.asked)
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    store.gate.set()
    assert await stays == "value 2"


async def test_a_refusal_that_nobody_waits_for_is_no_error(make: Any, store: Store) -> None:
    batcher = make()
    store.gate.clear()
    leaves = asyncio.ensure_future(batcher.get(3))
    await eventually(lambda: store.asked)
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    store.gate.set()
    assert await batcher.get(2) == "value 2"


@pytest.mark.logs_errors
async def test_a_key_that_the_query_forgot_is_not_waited_for_for_ever() -> None:
    threads = DatabaseThreads(size=1)
    batcher: Batcher[int, str] = Batcher(threads, lambda keys: {})
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable):
            await batcher.get(2)
    await asyncio.to_thread(threads.close)
