"""The cache for an outage: what was answered in the last minute is answered again, and no more than that."""

import asyncio
from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from messaging.adapters.cached_registry import CACHE_TTL_S, CachedConnectionRegistry
from messaging.adapters.redis.registry import RedisConnectionRegistry
from messaging.ports import RegistryUnavailable
from tests.adapters.test_redis_registry import answers, until, url_of
from tests.contracts.test_connection_registry import ANN, BOB, CAT, Time, where
from tests.servers.redis import RedisServer

OwnService = Callable[[type[RedisServer]], RedisServer]


def counted(name: str) -> float:
    return REGISTRY.get_sample_value(f"chat_registry_cache_{name}_total") or 0.0


@pytest.fixture
def server(own_service: OwnService) -> RedisServer:
    return own_service(RedisServer)


async def test_an_outage_is_bridged_for_a_minute(server: RedisServer) -> None:
    clock = Time()
    registry = CachedConnectionRegistry(RedisConnectionRegistry(url_of(server)), monotonic=clock)
    await registry.register("p1", [(ANN, "a"), (BOB, "b"), (CAT, "c")])
    both = {ANN: {("p1", "a")}, BOB: {("p1", "b")}}
    assert await where(registry, ANN, BOB) == both
    await registry.unregister("p1", [(BOB, "b")])
    clock.now += 1
    assert await where(registry, BOB) == {}
    await asyncio.to_thread(server.kill)

    served, missed = counted("served"), counted("missed")
    clock.now += CACHE_TTL_S - 2
    assert await where(registry, ANN, BOB, CAT) == {ANN: {("p1", "a")}}, "Bob was seen to leave, Cat never looked up"
    assert (counted("served") - served, counted("missed") - missed) == (1, 2)
    clock.now += 1
    assert await where(registry, ANN) == {}
    with pytest.raises(RegistryUnavailable):
        await registry.register("p1", [(ANN, "a")])

    await asyncio.to_thread(server.start)
    await until(lambda: answers(registry), timeout_s=5)
    await registry.register("p1", [(ANN, "again")])
    assert await where(registry, ANN) == {ANN: {("p1", "again")}}


async def test_who_was_asked_for_longest_ago_is_forgotten_first(server: RedisServer) -> None:
    registry = CachedConnectionRegistry(RedisConnectionRegistry(url_of(server)), max_users=2)
    await registry.register("p1", [(ANN, "a"), (BOB, "b"), (CAT, "c")])
    for user in (ANN, BOB, ANN, CAT):
        assert await where(registry, user)
    await asyncio.to_thread(server.kill)
    assert set(await where(registry, ANN, BOB, CAT)) == {ANN, CAT}
