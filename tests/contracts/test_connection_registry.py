"""What every ConnectionRegistry promises (messaging/ports.py). A new adapter adds a factory to ``FACTORIES``."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from messaging.adapters.cached_registry import CachedConnectionRegistry
from messaging.adapters.embedded.registry import MemoryConnectionRegistry
from messaging.adapters.redis.registry import RedisConnectionRegistry
from messaging.domain.ids import UserId
from messaging.ports import ENTRY_TTL_S, POD_TTL_S, ConnectionRegistry

ANN, BOB, CAT = UserId(1), UserId(2), UserId(3)


class Time:
    """A clock that the test moves."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


#: Takes what starts servers, and the time.
Factory = Callable[[pytest.FixtureRequest, Time], ConnectionRegistry]


def _redis(request: pytest.FixtureRequest, time: Time) -> ConnectionRegistry:
    url = request.getfixturevalue("redis_server").environment()["CHAT_REDIS_URL"]
    return RedisConnectionRegistry(url, prefix=f"{uuid4()}:", clock=time)


def _redis_cluster(request: pytest.FixtureRequest, time: Time) -> ConnectionRegistry:
    url = request.getfixturevalue("redis_cluster").environment()["CHAT_REGISTRY_URL"]
    return RedisConnectionRegistry(url, prefix=f"{uuid4()}:", clock=time)


FACTORIES: dict[str, Factory] = {
    "memory": lambda _, time: MemoryConnectionRegistry(clock=time),
    "cached": lambda _, time: CachedConnectionRegistry(MemoryConnectionRegistry(clock=time)),
    "redis": _redis,
    "redis-cluster": _redis_cluster,
}


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture(params=FACTORIES)
def registry(request: pytest.FixtureRequest, time: Time) -> ConnectionRegistry:
    return FACTORIES[request.param](request, time)


async def where(registry: ConnectionRegistry, *users: UserId) -> dict[UserId, set[tuple[str, str]]]:
    return {user: {(ref.pod, ref.conn) for ref in refs} for user, refs in (await registry.lookup(users)).items()}


async def test_every_connection_of_a_user_is_found(registry: ConnectionRegistry) -> None:
    await registry.register("p1", [(ANN, "a"), (ANN, "b"), (BOB, "c")])
    await registry.register("p2", [(ANN, "d")])
    assert await where(registry, ANN, BOB, CAT) == {ANN: {("p1", "a"), ("p1", "b"), ("p2", "d")}, BOB: {("p1", "c")}}


async def test_registering_again_refreshes(registry: ConnectionRegistry, time: Time) -> None:
    await registry.register("p1", [(ANN, "a")])
    time.now += 5
    await registry.register("p1", [(ANN, "a")])
    [ref] = (await registry.lookup([ANN]))[ANN]
    assert ref.last_seen == time.now


async def test_removing_takes_one_connection_and_no_other(registry: ConnectionRegistry) -> None:
    await registry.register("p1", [(ANN, "a"), (ANN, "b")])
    await registry.unregister("p1", [(ANN, "a"), (ANN, "unknown"), (CAT, "x")])
    assert await where(registry, ANN) == {ANN: {("p1", "b")}}
    await registry.unregister("p1", [(ANN, "b")])
    assert await where(registry, ANN) == {}


async def left(registry: ConnectionRegistry, *users: UserId) -> dict[UserId, dict[str, float]]:
    return {user: it.left for user, it in (await registry.whereabouts(users)).items() if it.left}


async def test_who_left_which_pod_is_remembered_for_a_minute(registry: ConnectionRegistry, time: Time) -> None:
    await registry.register("p1", [(ANN, "a"), (BOB, "b")])
    await registry.register("p2", [(ANN, "c")])
    assert await left(registry, ANN, BOB) == {}
    began = time.now
    await registry.unregister("p2", [(ANN, "c")])
    time.now += 10
    await registry.unregister("p1", [(ANN, "a")])
    assert await left(registry, ANN, BOB, CAT) == {ANN: {"p1": began + 10, "p2": began}}
    assert await where(registry, ANN, BOB) == {BOB: {("p1", "b")}}, "a pod that was left is no connection"
    time.now += 10
    await registry.register("p2", [(ANN, "d")])
    await registry.unregister("p2", [(ANN, "d")])
    assert await left(registry, ANN) == {ANN: {"p1": began + 10, "p2": began + 20}}
    time.now += ENTRY_TTL_S - 5
    assert await left(registry, ANN) == {ANN: {"p2": began + 20}}


async def test_whereabouts_are_where_one_is_and_was_in_one_answer(registry: ConnectionRegistry, time: Time) -> None:
    for pod, conn in (("p1", "a"), ("p1", "b"), ("p2", "c")):
        await registry.register(pod, [(ANN, conn)])
    await registry.register("p2", [(BOB, "d")])
    await registry.unregister("p1", [(ANN, "b")])
    found = await registry.whereabouts([ANN, BOB, CAT])
    assert {user: {(ref.pod, ref.conn) for ref in it.refs} for user, it in found.items()} == {
        ANN: {("p1", "a"), ("p2", "c")},
        BOB: {("p2", "d")},
    }
    assert {user: it.left for user, it in found.items()} == {ANN: {"p1": time.now}, BOB: {}}
    await registry.unregister("p2", [(ANN, "c"), (BOB, "d")])
    time.now += POD_TTL_S + 1
    await registry.heartbeat("p2")
    found = await registry.whereabouts([ANN, BOB])
    assert [found[user].refs for user in (ANN, BOB)] == [[], []], "of a pod that is dead nobody is there"
    assert set(found[ANN].left) == {"p1", "p2"}


async def test_a_pod_that_stops_beating_counts_no_more(registry: ConnectionRegistry, time: Time) -> None:
    await registry.register("p1", [(ANN, "a")])
    await registry.register("p2", [(BOB, "b")])
    time.now += POD_TTL_S - 1
    await registry.heartbeat("p2")
    assert set(await where(registry, ANN, BOB)) == {ANN, BOB}
    time.now += 2
    assert set(await where(registry, ANN, BOB)) == {BOB}
    await registry.heartbeat("p2")
    await registry.heartbeat("p1")
    assert set(await where(registry, BOB)) == {BOB}


async def test_watchers_are_the_live_pods_that_watch(registry: ConnectionRegistry, time: Time) -> None:
    for pod in ("p1", "p2"):
        await registry.heartbeat(pod)
    await registry.watch("p1", [ANN, BOB])
    await registry.watch("p2", [ANN])
    found = await registry.watchers([ANN, BOB, CAT])
    assert {user: sorted(pods) for user, pods in found.items()} == {ANN: ["p1", "p2"], BOB: ["p1"]}
    await registry.unwatch("p1", [ANN, CAT])
    assert await registry.watchers([ANN]) == {ANN: ["p2"]}
    time.now += POD_TTL_S + 1
    await registry.heartbeat("p1")
    assert await registry.watchers([ANN, BOB]) in ({BOB: ["p1"]}, {})


async def test_a_large_group_is_one_question(registry: ConnectionRegistry) -> None:
    users = [UserId(number) for number in range(1, 5_001)]
    await registry.register("p1", [(user, f"c{user}") for user in users])
    assert len(await registry.lookup(users)) == 5_000
