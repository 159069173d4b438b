"""The cache that throttles count in: shared, JSON only, and never in the way."""

import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client
from prometheus_client import REGISTRY
from redis import Redis

from accounts.models import User
from messaging.adapters.redis import options
from tests.adapters.test_redis_registry import url_of
from tests.conftest import PASSWORD
from tests.servers.redis import RedisServer

OwnService = Callable[[type[RedisServer]], RedisServer]


@pytest.fixture
def shared(redis_server: RedisServer, settings: Any) -> str:
    """Make the shared Redis the cache; return the prefix."""
    prefix = f"cache-{uuid4()}"
    settings.CACHES = {"default": options.cache(url_of(redis_server), prefix=prefix)}
    return prefix


@pytest.fixture
def own(own_service: OwnService, settings: Any) -> RedisServer:
    """Make a Redis of the test's own the cache."""
    server = own_service(RedisServer)
    settings.CACHES = {"default": options.cache(url_of(server), prefix=f"cache-{uuid4()}")}
    return server


def log_in(**body: str) -> int:
    return Client().post("/v1/tokens", body, content_type="application/json").status_code


def assert_answers() -> None:
    """Every method of a cache does what it should."""
    cache.set("history", [1.5, 2.5])
    assert cache.get("history") == [1.5, 2.5]
    cache.set("count", 3)
    assert cache.incr("count") == 4
    assert cache.get("count") == 4
    assert cache.add("lock", True, timeout=5)
    assert not cache.add("lock", True, timeout=5)
    cache.set_many({"a": "x", "b": {"y": None}})
    assert cache.get_many(["a", "b", "c"]) == {"a": "x", "b": {"y": None}}
    assert cache.has_key("a")
    assert cache.touch("a", 5)
    assert cache.delete("a")
    cache.delete_many(["b"])
    assert cache.get("b", "gone") == "gone"


def test_values_come_back(shared: str) -> None:
    assert_answers()


def test_what_redis_holds_is_data_and_never_code(shared: str, redis_server: RedisServer) -> None:
    cache.set("history", [1.5])
    with Redis.from_url(url_of(redis_server)) as client:
        assert client.get(f"{shared}:1:history") == b"[1.5]"
    with pytest.raises(TypeError):
        cache.set("object", object())


def test_clearing_leaves_the_rest_of_the_database(shared: str, redis_server: RedisServer) -> None:
    cache.set("mine", 1)
    with Redis.from_url(url_of(redis_server)) as client:
        client.set(f"other-{shared}", 1)
        cache.clear()
        assert cache.get("mine") is None
        assert client.get(f"other-{shared}") == b"1"


def test_requests_share_their_connections(own: RedisServer) -> None:
    """Under ASGI each request has a context of its own, in which Django makes a backend of its own."""
    with Redis.from_url(url_of(own)) as observer:
        before = observer.info("stats")["total_connections_received"]
        for _ in range(20):
            copy_context().run(lambda: cache.set("a", 1))
        assert observer.info("stats")["total_connections_received"] == before + 1


def test_throttles_count_in_redis(shared: str, db: None) -> None:
    assert [log_in(username="ann") for _ in range(11)] == [400] * 10 + [429]


@pytest.mark.parametrize("harm", ["kill", "pause"])
def test_logins_go_through_while_redis_is_out(
    own: RedisServer, make_user: Callable[..., User], client: Client, harm: str
) -> None:
    make_user("ann")
    getattr(own, harm)()
    before = REGISTRY.get_sample_value("chat_cache_local_total") or 0
    try:
        assert log_in(username="ann", password=PASSWORD) == 201
        assert client.post("/accounts/login/", {"login": "ann", "password": PASSWORD}).status_code == 302
    finally:
        own.resume()
    assert (REGISTRY.get_sample_value("chat_cache_local_total") or 0) > before


def test_a_silent_redis_costs_one_wait_and_not_one_per_call(own: RedisServer) -> None:
    cache.set("a", 1)
    own.pause()
    try:
        started = time.monotonic()
        assert cache.get("a") is None
        assert time.monotonic() - started < 2.5
        started = time.monotonic()
        assert [cache.get("a") for _ in range(100)] == [None] * 100
        assert time.monotonic() - started < 0.9
    finally:
        own.resume()
    deadline = time.monotonic() + 5
    while cache.get("a") != 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_throttles_count_on_each_pod_while_redis_is_out(own: RedisServer, db: None) -> None:
    own.kill()
    assert [log_in(username="ann") for _ in range(11)] == [400] * 10 + [429]


def test_every_call_is_answered_while_redis_is_out(own: RedisServer) -> None:
    own.kill()
    assert_answers()
