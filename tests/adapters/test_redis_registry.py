"""The registry in Redis beyond its port: round trips, outages, loops and threads, and that nothing is left behind."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from prometheus_client import REGISTRY
from redis import Redis

from messaging.adapters.redis.registry import RedisConnectionRegistry
from messaging.domain.ids import UserId
from messaging.ports import ENTRY_TTL_S, WATCH_TTL_S, ConnectionRegistry, RegistryUnavailable
from tests.contracts.test_connection_registry import ANN, BOB, Time, where
from tests.servers.redis import RedisCluster, RedisServer

EVERY_METHOD: dict[str, Callable[[ConnectionRegistry], Awaitable[Any]]] = {
    "register": lambda registry: registry.register("p", [(ANN, "a")]),
    "unregister": lambda registry: registry.unregister("p", [(ANN, "a")]),
    "lookup": lambda registry: registry.lookup([ANN]),
    "heartbeat": lambda registry: registry.heartbeat("p"),
    "watch": lambda registry: registry.watch("p", [ANN]),
    "unwatch": lambda registry: registry.unwatch("p", [ANN]),
    "watchers": lambda registry: registry.watchers([ANN]),
}


def url_of(server: Any) -> str:
    environment: dict[str, str] = server.environment()
    return environment.get("CHAT_REGISTRY_URL") or environment["CHAT_REDIS_URL"]


@pytest.fixture
def prefix() -> str:
    return f"{uuid4()}:"


async def until(what: Callable[[], bool | Awaitable[bool]], *, timeout_s: float) -> None:
    """Return once ``what`` holds. A server that comes back tells nobody, so this asks every 50 ms."""
    async with asyncio.timeout(timeout_s):
        while True:
            holds = what()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.05)


async def answers(registry: ConnectionRegistry) -> bool:
    return await registered(registry, [])


async def registered(registry: ConnectionRegistry, users: list[UserId]) -> bool:
    try:
        await registry.register("p", [(user, "a") for user in users])
    except RegistryUnavailable:
        return False
    return True


# --- round trips --------------------------------------------------------------------------------------


async def test_a_look_up_is_one_round_trip(redis_server: RedisServer, prefix: str) -> None:
    registry = RedisConnectionRegistry(url_of(redis_server), prefix=prefix)
    users = [UserId(number) for number in range(1, 101)]
    await registry.register("p1", [(user, "c") for user in users])
    assert len(await registry.lookup(users)) == 100
    with Redis.from_url(url_of(redis_server)) as observer:
        before = observer.info("stats")["total_reads_processed"]
        assert len(await registry.lookup(users)) == 100
        after = observer.info("stats")["total_reads_processed"]
    assert after - before == 2, "the look-up, and the observer's second question"


async def test_users_are_spread_over_the_nodes_of_a_cluster(redis_cluster: Any, prefix: str) -> None:
    registry = RedisConnectionRegistry(url_of(redis_cluster), prefix=prefix)
    await registry.register("p1", [(UserId(number), "c") for number in range(1, 1_001)])
    shares = []
    for member in redis_cluster.members:
        with Redis.from_url(url_of(member)) as node:
            shares.append(len(list(node.scan_iter(f"{prefix}*", count=1_000))))
    assert sum(shares) == 1_001, "a key for each user and one for the pods"
    assert min(shares) > 200


async def test_a_cluster_is_found_by_any_of_its_nodes(redis_cluster: Any, prefix: str) -> None:
    hosts = [url_of(member).removeprefix("redis://").removesuffix("/0") for member in redis_cluster.members]
    registry = RedisConnectionRegistry(f"redis+cluster://127.0.0.1:1,{','.join(hosts)}", prefix=prefix)
    await registry.register("p1", [(ANN, "a")])
    assert await where(registry, ANN) == {ANN: {("p1", "a")}}


async def test_scripts_are_loaded_again_where_redis_forgot_them(
    own_service: Callable[[type[RedisServer]], RedisServer],
) -> None:
    server = own_service(RedisServer)
    registry = RedisConnectionRegistry(url_of(server))
    await registry.register("p1", [(ANN, "a")])
    with Redis.from_url(url_of(server)) as other:
        other.script_flush()
    assert await where(registry, ANN) == {ANN: {("p1", "a")}}


# --- what is left behind ------------------------------------------------------------------------------


async def test_what_nobody_renews_lapses_and_goes(redis_server: RedisServer, prefix: str) -> None:
    clock = Time()
    registry = RedisConnectionRegistry(url_of(redis_server), prefix=prefix, clock=clock)
    await registry.register("dead", [(ANN, "a"), (BOB, "b")])
    await registry.register("p1", [(ANN, "lost")])
    clock.now += ENTRY_TTL_S
    await registry.register("p1", [(ANN, "c")])
    assert await where(registry, ANN, BOB) == {ANN: {("p1", "c")}}
    with Redis.from_url(url_of(redis_server), decode_responses=True) as observer:
        members = {key: observer.zrange(key, 0, -1) for key in observer.scan_iter(f"{prefix}*")}
        assert members[f"{prefix}pods"] == ["p1"]
        assert members[f"{prefix}{{1}}:u:1"] == ["c\0p1"]
        # The last of somebody whom nobody renews, like Bob, goes with the key.
        assert all(0 < observer.ttl(key) <= 2 * WATCH_TTL_S for key in members)
        assert observer.ttl(f"{prefix}{{2}}:u:2") <= 2 * ENTRY_TTL_S


async def test_watchers_that_are_not_repeated_lapse(redis_server: RedisServer, prefix: str) -> None:
    clock = Time()
    registry = RedisConnectionRegistry(url_of(redis_server), prefix=prefix, clock=clock)
    await registry.watch("p1", [ANN, BOB])
    clock.now += WATCH_TTL_S - 1
    await registry.watch("p1", [BOB])
    assert await registry.watchers([ANN, BOB]) == {ANN: ["p1"], BOB: ["p1"]}
    clock.now += 2
    assert await registry.watchers([ANN, BOB]) == {BOB: ["p1"]}


async def test_a_clock_that_is_off_shows(redis_server: RedisServer, prefix: str, caplog: Any) -> None:
    clock = Time()
    clock.now = time.time() + 20
    await RedisConnectionRegistry(url_of(redis_server), prefix=prefix, clock=clock).heartbeat("p1")
    assert REGISTRY.get_sample_value("chat_registry_clock_skew_seconds") == pytest.approx(20, abs=2)
    assert "pods may be taken for dead" in caplog.text


# --- outages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", EVERY_METHOD)
async def test_every_method_says_that_redis_is_out(method: str) -> None:
    registry = RedisConnectionRegistry("redis://127.0.0.1:1/0")
    with pytest.raises(RegistryUnavailable):
        await EVERY_METHOD[method](registry)


async def test_a_redis_that_was_away_is_used_again(
    own_service: Callable[[type[RedisServer]], RedisServer],
) -> None:
    server = own_service(RedisServer)
    registry = RedisConnectionRegistry(url_of(server))
    await registry.register("p1", [(ANN, "a")])
    await asyncio.to_thread(server.kill)
    assert not await answers(registry)
    assert REGISTRY.get_sample_value("chat_engine_out", {"engine": "registry"}) == 1
    await asyncio.to_thread(server.start)
    await until(lambda: answers(registry), timeout_s=5)
    assert REGISTRY.get_sample_value("chat_engine_out", {"engine": "registry"}) == 0
    assert await where(registry, ANN) == {}, "it came back empty"
    await registry.register("p1", [(ANN, "a")])
    assert await where(registry, ANN) == {ANN: {("p1", "a")}}


async def test_a_node_of_a_cluster_that_was_away_is_used_again(own_service: Callable[[type[Any]], Any]) -> None:
    cluster = own_service(RedisCluster)
    registry = RedisConnectionRegistry(url_of(cluster))
    users = [UserId(number) for number in range(1, 51)]
    await registry.register("p", [(user, "a") for user in users])
    node = cluster.members[1]
    await asyncio.to_thread(node.kill)
    with pytest.raises(RegistryUnavailable):
        await registry.lookup(users)
    await asyncio.to_thread(node.start)
    await until(lambda: registered(registry, users), timeout_s=30)
    assert len(await registry.lookup(users)) == 50


def _take_over(cluster: Any, *, dead: int, heir: int) -> None:
    """Give a dead node's slots to another, as a failover does."""
    with Redis.from_url(url_of(cluster.members[heir]), decode_responses=True) as client:
        nodes = client.cluster("nodes")
        [heirs_id] = [node["node_id"] for node in nodes.values() if "myself" in node["flags"]]
        lost = nodes[url_of(cluster.members[dead]).removeprefix("redis://").removesuffix("/0")]["slots"]
    for member in cluster.members:
        if member is not cluster.members[dead]:
            with Redis.from_url(url_of(member)) as client, client.pipeline(transaction=False) as pipeline:
                for first, last in lost:
                    for slot in range(int(first), int(last) + 1):
                        pipeline.execute_command("CLUSTER SETSLOT", slot, "NODE", heirs_id)
                pipeline.execute()


async def test_slots_that_moved_from_a_dead_node_are_found(own_service: Callable[[type[Any]], Any]) -> None:
    cluster = own_service(RedisCluster)
    hosts = [url_of(member).removeprefix("redis://").removesuffix("/0") for member in cluster.members]
    registry = RedisConnectionRegistry(f"redis+cluster://{','.join(hosts)}")
    users = [UserId(number) for number in range(1, 51)]
    await registry.register("p", [(user, "a") for user in users])
    await asyncio.to_thread(cluster.members[1].kill)
    with pytest.raises(RegistryUnavailable):
        await registry.lookup(users)
    await asyncio.to_thread(_take_over, cluster, dead=1, heir=2)
    await until(lambda: registered(registry, users), timeout_s=30)
    assert len(await registry.lookup(users)) == 50


async def test_a_silent_redis_costs_one_wait_and_not_one_per_call(
    own_service: Callable[[type[RedisServer]], RedisServer],
) -> None:
    server = own_service(RedisServer)
    registry = RedisConnectionRegistry(url_of(server))
    await registry.register("p1", [(ANN, "a")])
    server.pause()
    try:
        started = time.monotonic()
        with pytest.raises(RegistryUnavailable):
            await registry.lookup([ANN])
        assert time.monotonic() - started < 2.5
        started = time.monotonic()
        for _ in range(100):
            with pytest.raises(RegistryUnavailable):
                await registry.lookup([ANN])
        assert time.monotonic() - started < 0.9
    finally:
        server.resume()
    await until(lambda: answers(registry), timeout_s=5)
    assert await where(registry, ANN) == {ANN: {("p1", "a")}}


async def test_a_cancelled_call_leaves_no_answer_for_the_next(redis_server: RedisServer, prefix: str) -> None:
    registry = RedisConnectionRegistry(url_of(redis_server), prefix=prefix)
    await registry.register("p1", [(ANN, "a")])
    for _ in range(50):
        waiting = asyncio.ensure_future(registry.lookup([BOB]))
        # Far enough for the question to be on its way.
        for _ in range(8):
            await asyncio.sleep(0)
        waiting.cancel()
        assert await where(registry, ANN) == {ANN: {("p1", "a")}}
        await asyncio.gather(waiting, return_exceptions=True)


# --- loops and threads --------------------------------------------------------------------------------


def _connections(server: RedisServer) -> int:
    with Redis.from_url(url_of(server)) as observer:
        return len(observer.client_list()) - 1


@pytest.mark.parametrize("threads", [1, 8])
def test_calls_from_threads_leave_no_connection_open(redis_server: RedisServer, prefix: str, threads: int) -> None:
    registry = RedisConnectionRegistry(url_of(redis_server), prefix=prefix)
    before = _connections(redis_server)
    opened: list[int] = []

    async def ask(number: int) -> bool:
        user = UserId(number + 1)
        await registry.register("p1", [(user, "a")])
        found = await registry.lookup([user])
        opened.append(len(registry._clients._clients))
        return set(found) == {user}

    with ThreadPoolExecutor(threads) as pool:
        assert all(pool.map(async_to_sync(ask), range(5 * threads)))
    assert max(opened) <= threads
    assert not registry._clients._clients
    assert _connections(redis_server) == before


async def test_a_client_is_left_to_the_loop_and_not_to_the_collector(redis_server: RedisServer, prefix: str) -> None:
    registry = RedisConnectionRegistry(url_of(redis_server), prefix=prefix)
    await registry.register("p1", [(ANN, "a")])
    before = _connections(redis_server)
    del registry
    # An open connection that is collected is a warning, and a warning is an error.
    gc.collect()
    assert _connections(redis_server) == before


async def test_many_calls_at_once_share_few_connections(redis_server: RedisServer, prefix: str) -> None:
    registry = RedisConnectionRegistry(url_of(redis_server), prefix=prefix)
    before = _connections(redis_server)
    await asyncio.gather(*(registry.register("p1", [(UserId(number), "a")]) for number in range(1, 301)))
    assert len(await registry.lookup([UserId(number) for number in range(1, 301)])) == 300
    assert _connections(redis_server) - before <= 16
