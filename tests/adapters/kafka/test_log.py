"""What the contract suite cannot know: Redis as the first line of dedupe, bounds, and a Kafka that is not there."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from redis import Redis

from messaging.adapters.kafka import writer
from messaging.adapters.kafka.log import KafkaMessageLog
from messaging.adapters.kafka.positions import Positions
from messaging.adapters.kafka.settings import KafkaSettings
from messaging.ports import LogUnavailable, Position, PositionUnknown
from tests.adapters.kafka.conftest import LEFT_SOCKETS, admin, make_topics, new_settings, record
from tests.servers.base import CannotStart, free_port
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.logs_errors, LEFT_SOCKETS]
Open = Callable[[KafkaSettings], KafkaMessageLog]
Install = Callable[..., KafkaSettings]


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """Return a Redis that runs and may be harmed."""
    server = RedisServer(tmp_path / "redis")
    try:
        server.start()
    except CannotStart as problem:
        pytest.skip(f"redis: {problem}")
    yield server
    server.stop()


async def until(what: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Return once ``what`` holds; other threads and processes bring it about, so there is nothing to await."""
    async with asyncio.timeout(timeout_s):
        while not what():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def dedupe_is_down() -> bool:
    return REGISTRY.get_sample_value("chat_log_dedupe_down") == 1


# --- dedupe -------------------------------------------------------------------------------------------


async def test_what_one_process_appended_another_recognises(
    installation: Install, open_log: Open, redis_url: str
) -> None:
    settings = installation(redis_url=redis_url, dedupe_cache=timedelta(seconds=100))
    one, other = open_log(settings), open_log(settings)
    first = await one.append(record("a", dedup=b"1"))
    # The position is on its way to Redis when the sender learns of it.
    with Redis.from_url(redis_url) as client:
        await until(lambda: bool(client.exists(f"{settings.prefix}position:t:1")))
        assert 90 < client.ttl(f"{settings.prefix}position:t:1") <= 100, "not as long as the log is kept"
    again = await other.append(record("b", dedup=b"1"))
    assert again == replace(first, duplicate=True)


async def test_without_redis_it_goes_on_and_copies_are_left_to_the_router(
    installation: Install, open_log: Open, own_redis: RedisServer
) -> None:
    log = open_log(installation(redis_url=own_redis.environment()["CHAT_REDIS_URL"]))
    first = await log.append(record("a", dedup=b"1"))
    assert (await log.append(record("a", dedup=b"1"))).duplicate
    await asyncio.to_thread(own_redis.stop)
    again = await log.append(record("a", dedup=b"1"))
    assert not again.duplicate
    assert again.offset > first.offset
    assert dedupe_is_down()
    await asyncio.to_thread(own_redis.start)
    await until(lambda: not dedupe_is_down())
    await log.append(record("b", dedup=b"2"))
    assert (await log.append(record("b", dedup=b"2"))).duplicate


async def test_a_redis_that_hangs_costs_one_short_wait(installation: Install, open_log: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        log = open_log(installation(redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0"))
        await log.start()
        await log.append(record("the first waits for Redis", dedup=b"0"))
        assert dedupe_is_down()
        began = time.monotonic()
        for n in range(1, 21):
            await log.append(record("the others do not", dedup=b"%d" % n))
        assert time.monotonic() - began < 20 * 0.25
    await log.close()


def test_positions_older_than_the_horizon_are_forgotten(redis_url: str) -> None:
    positions = Positions(redis_url, prefix=new_settings("").prefix, ttl=timedelta(minutes=1))
    old, young = Position(0, 1, 1_000), Position(0, 2, 2_000)
    positions.exchange([(("t", b"old"), old), (("t", b"young"), young)], [])
    keys = [("t", b"old"), ("t", b"young"), ("t", b"none"), ("u", b"old")]
    assert set(positions.exchange([], keys)) == {("t", b"old"), ("t", b"young")}
    positions.forget_before(2_000)
    assert positions.exchange([], keys) == {("t", b"young"): replace(young, duplicate=True)}
    positions.close()


# --- outcomes ---------------------------------------------------------------------------------------


def test_an_answer_without_an_offset_is_a_record_of_unknown_place() -> None:
    """Kafka's answer for a batch that it took before and whose place it has forgotten: offset -1, no time."""
    assert isinstance(writer.outcome_of(3, -1, -1), PositionUnknown)
    assert writer.outcome_of(3, 0, 1_700_000_000_000) == Position(3, 0, 1_700_000_000_000)


@pytest.mark.slow
async def test_beyond_its_bounds_an_append_fails_at_once(monkeypatch: pytest.MonkeyPatch, open_log: Open) -> None:
    monkeypatch.setattr(writer, "_MAX_WAITING", 3)
    monkeypatch.setattr(writer, "_MAX_WAITING_BYTES", 1_000)
    log = open_log(new_settings(f"127.0.0.1:{free_port()}"))
    big = log.append(record("x" * 1_001))
    assert "too many records" in str(big.exception())
    waiting = [log.append(record("x")) for _ in range(3)]
    assert not any(future.done() for future in waiting)
    assert "too many records" in str(log.append(record("x")).exception())
    for future in waiting:
        with pytest.raises(LogUnavailable):
            await future
    # What has failed no longer counts: from a moment after its sender was told, since the writer goes on meanwhile.
    taken: list[asyncio.Future[Position]] = []

    def is_taken() -> bool:
        taken.append(log.append(record("x")))
        return not (taken[-1].done() and taken[-1].exception())

    await until(is_taken)
    with pytest.raises(LogUnavailable):
        await taken[-1]


# --- no Kafka -----------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_without_kafka_it_starts_is_not_ready_and_says_so(open_log: Open) -> None:
    address = f"127.0.0.1:{free_port()}"
    log = open_log(new_settings(address))
    began = time.monotonic()
    await log.start()
    assert time.monotonic() - began < 6
    assert not log.is_ready()
    began = time.monotonic()
    with pytest.raises(LogUnavailable, match=address):
        await log.append(record("a"))
    assert 3.5 < time.monotonic() - began < 5, "below the 5 s that a sender waits"
    reader = log.reader("t", group="g")
    assert await reader.poll(max_records=10, timeout_s=0.2) == []
    with pytest.raises(LogUnavailable, match=address):
        await reader.poll(max_records=10, timeout_s=5)
    with pytest.raises(LogUnavailable):
        await log.lag("t", group="g")


async def test_a_topic_that_vanishes_is_said_and_waited_for(
    monkeypatch: pytest.MonkeyPatch, installation: Install, open_log: Open
) -> None:
    monkeypatch.setattr(writer, "_PATIENCE_S", 1.0)
    settings = installation()
    log = open_log(settings)
    await log.append(record("a"))
    with admin(settings) as client:
        await asyncio.to_thread(client.delete_topics, [settings.topic("t")])
    with pytest.raises(LogUnavailable):
        await log.append(record("b"))
    await until(lambda: not log.is_ready())
    with pytest.raises(LogUnavailable, match="does not exist"):
        await log.append(record("c"))
    await asyncio.to_thread(make_topics, settings)
    await until(log.is_ready)
    await log.append(record("d"))


async def test_closing_ends_every_thread(installation: Install, redis_url: str) -> None:
    def threads() -> set[str]:
        return {it.name for it in threading.enumerate() if it.name.startswith(("log-", "kafka-"))}

    log = KafkaMessageLog(installation(redis_url=redis_url))
    reader = log.reader("t", group="g")
    appended = log.append(record("a"))
    assert [it.payload for it in await reader.poll(max_records=1, timeout_s=10)] == [b"a"]
    assert threads() >= {"log-writer", "log-reader-t_0"}
    await log.close()
    assert (await appended).offset == 0
    await until(lambda: not threads())
    nowhere = KafkaMessageLog(new_settings(f"127.0.0.1:{free_port()}"))
    await nowhere.start()
    await nowhere.close()
    await until(lambda: not threads())
