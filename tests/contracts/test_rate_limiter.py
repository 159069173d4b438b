"""What every RateLimiter promises: a burst, then the rate, each bucket for itself."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from messaging.adapters.embedded.rates import MemoryRateLimiter
from messaging.adapters.redis.rates import RedisRateLimiter
from messaging.ports import RateLimiter
from tests.adapters.test_redis_registry import url_of


@pytest.fixture(params=["memory", "redis"])
def make(request: pytest.FixtureRequest) -> Callable[[], RateLimiter]:
    """Return a function that gives a limiter; those of Redis share their buckets."""
    if request.param == "memory":
        only = MemoryRateLimiter()
        return lambda: only
    url, prefix = url_of(request.getfixturevalue("redis_server")), f"rates-{uuid4()}:"
    return lambda: RedisRateLimiter(url, prefix=prefix)


async def test_a_burst_at_once_and_then_the_rate(make: Callable[[], RateLimiter]) -> None:
    limiter = make()
    assert await limiter.take("a", 3, rate_per_s=20, burst=5) == (3, 0.0)
    granted, wait_s = await limiter.take("a", 10, rate_per_s=20, burst=5)
    assert granted == 2
    assert 0 < wait_s <= 0.05
    await asyncio.sleep(wait_s)
    granted, _ = await limiter.take("a", 1, rate_per_s=20, burst=5)
    assert granted == 1


async def test_it_never_holds_more_than_the_burst(make: Callable[[], RateLimiter]) -> None:
    limiter = make()
    await limiter.take("a", 1, rate_per_s=1_000, burst=2)
    await asyncio.sleep(0.05)
    granted, _ = await limiter.take("a", 10, rate_per_s=1_000, burst=2)
    assert granted == 2


async def test_buckets_are_each_for_itself_and_shared(make: Callable[[], RateLimiter]) -> None:
    assert await make().take("a", 5, rate_per_s=0.01, burst=5) == (5, 0.0)
    granted, wait_s = await make().take("a", 5, rate_per_s=0.01, burst=5)
    assert (granted, 50 < wait_s <= 100) == (0, True)
    assert await make().take("b", 5, rate_per_s=0.01, burst=5) == (5, 0.0)


async def test_while_redis_is_out_each_process_counts_alone(own_service: Any) -> None:
    from tests.servers.redis import RedisServer

    server = own_service(RedisServer)
    limiter = RedisRateLimiter(url_of(server))
    assert await limiter.take("a", 5, rate_per_s=0.01, burst=5) == (5, 0.0)
    await asyncio.to_thread(server.kill)
    assert await limiter.take("a", 5, rate_per_s=0.01, burst=5) == (5, 0.0)
    granted, _ = await limiter.take("a", 5, rate_per_s=0.01, burst=5)
    assert granted == 0
