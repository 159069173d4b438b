"""The bounded threads of the database: one crossing, own connections, an orderly end."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from messaging.threads import DatabaseThreads

SIZE = 3


@pytest.fixture
def threads() -> Iterator[DatabaseThreads]:
    made = DatabaseThreads(size=SIZE, name="probe")
    yield made
    made.close()


def together(count: int) -> Callable[[], str]:
    """Return a function that ends once ``count`` threads are in it; it returns its thread's name."""
    everybody = threading.Barrier(count)

    def meet() -> str:
        everybody.wait(5)
        return threading.current_thread().name

    return meet


async def test_a_call_runs_outside_the_loop_and_returns_what_it_returns(threads: DatabaseThreads) -> None:
    def add(first: int, *, second: int) -> tuple[int, str]:
        return first + second, threading.current_thread().name

    total, name = await threads.run(add, 1, second=2)
    assert total == 3
    assert name.startswith("probe")


async def test_an_error_comes_back_to_the_caller(threads: DatabaseThreads) -> None:
    def fail() -> None:
        raise KeyError("here")

    with pytest.raises(KeyError, match="here"):
        await threads.run(fail)
    assert await threads.run(lambda: 1) == 1


async def test_as_many_calls_run_at_once_as_there_are_threads(threads: DatabaseThreads) -> None:
    meet = together(SIZE)
    names = await asyncio.gather(*(threads.run(meet) for _ in range(SIZE)))
    assert len(set(names)) == SIZE
    # Six calls on three threads: the others wait their turn, on the same threads.
    meet = together(SIZE)
    assert set(await asyncio.gather(*(threads.run(meet) for _ in range(2 * SIZE)))) == set(names)


async def test_a_call_whose_caller_gave_up_runs_to_its_end(threads: DatabaseThreads) -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(5)
        ended.set()

    waiting = asyncio.ensure_future(threads.run(work))
    await asyncio.to_thread(begun.wait, 5)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()
    assert await asyncio.to_thread(ended.wait, 5)


@pytest.mark.django_db(transaction=True)
async def test_a_thread_keeps_its_connection_and_replaces_a_broken_one() -> None:
    threads = DatabaseThreads(size=1)

    def raw() -> Any:
        connection.ensure_connection()
        return connection.connection

    def breaks() -> None:
        # What PostgreSQL's server does to a connection; a file never ends one.
        connection.errors_occurred = True
        connection.is_usable = lambda: False  # type: ignore[method-assign]

    first = await threads.run(raw)
    assert await threads.run(raw) is first
    await threads.run(breaks)
    assert await threads.run(lambda: connection.connection is None)
    await asyncio.to_thread(threads.close)


@pytest.mark.django_db(transaction=True)
async def test_the_end_closes_the_connections_of_every_thread() -> None:
    threads = DatabaseThreads(size=SIZE)
    everybody = threading.Barrier(SIZE)
    opened = []

    def connect() -> None:
        connection.ensure_connection()
        opened.append(connection.connection)
        everybody.wait(5)

    await asyncio.gather(*(threads.run(connect) for _ in range(SIZE)))
    assert len(opened) == SIZE
    await asyncio.to_thread(threads.close)
    for it in opened:
        with pytest.raises(Exception, match="closed"):
            it.cursor()
    threads.close()
    with pytest.raises(RuntimeError):
        await threads.run(lambda: None)
