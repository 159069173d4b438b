"""The bus between pods while Redis is out: it drops at once, never raises, and finds its way back."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from redis import Redis

from messaging.adapters.channel_layer.bus import SEND_TIMEOUT_S, ChannelLayerPodBus
from messaging.adapters.redis import options
from messaging.adapters.redis.clients import UNREACHABLE
from messaging.ports import BatchesLost
from tests.adapters.test_redis_registry import until, url_of
from tests.servers.redis import RedisServer


@pytest.fixture
def server(own_service: Callable[[type[RedisServer]], RedisServer], settings: Any) -> RedisServer:
    server = own_service(RedisServer)
    settings.CHANNEL_LAYERS = {"default": options.channel_layer(url_of(server))}
    return server


async def received(bus: ChannelLayerPodBus, last: bytes) -> tuple[list[bytes], int]:
    """Return what comes up to a batch, and how often something was said to be lost."""
    got: list[bytes] = []
    losses = 0
    while got[-1:] != [last]:
        try:
            got.append(await bus.receive("p"))
        except BatchesLost:
            losses += 1
    return got, losses


async def test_a_silent_layer_drops_batches_at_once(server: RedisServer) -> None:
    bus = ChannelLayerPodBus(unreachable=UNREACHABLE)
    assert await bus.send("p", b"before")
    server.pause()
    try:
        started = time.monotonic()
        assert not await bus.send("p", b"x")
        assert time.monotonic() - started < SEND_TIMEOUT_S + 0.5
        started = time.monotonic()
        assert not any([await bus.send("p", b"x") for _ in range(100)])
        assert time.monotonic() - started < 0.9
    finally:
        server.resume()
    await until(lambda: bus.send("p", b"after"), timeout_s=5)
    async with asyncio.timeout(5):
        got, losses = await received(bus, b"after")
    assert losses >= 1
    # A batch of which nothing is known may have arrived all the same, once.
    assert got in ([b"before", b"after"], [b"before", b"x", b"after"])


async def test_a_waiting_reader_is_told_of_an_outage_and_outlives_it(server: RedisServer) -> None:
    bus = ChannelLayerPodBus(unreachable=UNREACHABLE)
    waiting = asyncio.ensure_future(bus.receive("p"))
    await asyncio.wait([waiting], timeout=0.1)
    await asyncio.to_thread(server.kill)
    assert not await bus.send("p", b"lost")
    async with asyncio.timeout(5):
        with pytest.raises(BatchesLost):
            await waiting
        started = time.monotonic()
        with pytest.raises(BatchesLost):
            await bus.receive("p")
        assert time.monotonic() - started >= 0.2, "who asks again and again waits in between"
    await asyncio.to_thread(server.start)
    await until(lambda: bus.send("p", b"kept"), timeout_s=5)
    async with asyncio.timeout(10):
        got, losses = await received(bus, b"kept")
    assert got == [b"kept"]
    assert losses >= 1


def test_sends_from_threads_leave_no_connection_open(server: RedisServer) -> None:
    bus = ChannelLayerPodBus(unreachable=UNREACHABLE)
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda number: async_to_sync(bus.send)("p", b"%d" % number), range(20)))
    with Redis.from_url(url_of(server)) as observer:
        assert len(observer.client_list()) == 1
