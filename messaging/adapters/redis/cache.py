"""Django's cache in Redis; while Redis is out, in the memory of this process (docs/decisions/0011).

Throttles count here: together on all pods, and in an outage on each pod alone. Values are JSON: whoever writes to Redis
must not thereby run code here, as with Django's pickles.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from prometheus_client import Counter

from messaging.adapters.outage import Outage
from messaging.adapters.redis.clients import UNREACHABLE

LOCAL = Counter("chat_cache_local_total", "Cache calls that were answered from this process while Redis was out.")


class JsonSerializer:
    """Values as JSON; tuples come back as lists. Integers stay what Redis can count with."""

    def dumps(self, value: object) -> bytes | int:
        """Return the stored form. Raises TypeError for what JSON does not have."""
        return value if type(value) is int else msgspec.json.encode(value)

    def loads(self, stored: bytes) -> object:
        """Return the value."""
        return msgspec.json.decode(stored)


class _Engine:
    """What all instances of one cache share. Django makes an instance for each context, which is each request."""

    def __init__(self, server: str, options: dict[str, Any], *, name: str) -> None:
        self.client = RedisCacheClient([server], **options)
        self.outage = Outage("cache")
        self.local = LocMemCache(f"{name} while Redis is out", {"OPTIONS": {"MAX_ENTRIES": 10_000}})


_engines: dict[tuple[str, str], _Engine] = {}


def _in_redis_or_here(name: str) -> Callable[..., Any]:
    def call(cache: "RedisOrLocalCache", *args: Any, **kwargs: Any) -> Any:
        engine = cache.engine
        if not engine.outage.refuses():
            try:
                answer = getattr(RedisCache, name)(cache, *args, **kwargs)
            except UNREACHABLE as error:
                engine.outage.failed(error)
            else:
                engine.outage.succeeded()
                return answer
        LOCAL.inc()
        return getattr(engine.local, name)(*args, **kwargs)

    return call


class RedisOrLocalCache(RedisCache):
    """The backend that CACHES names. Needs a KEY_PREFIX: it shares its database with others."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        place = (server, self.key_prefix)
        if place not in _engines:
            _engines[place] = _Engine(server, params.get("OPTIONS", {}), name=self.key_prefix)
        self.engine = _engines[place]

    @property
    def _cache(self) -> RedisCacheClient:
        return self.engine.client

    add = _in_redis_or_here("add")
    get = _in_redis_or_here("get")
    set = _in_redis_or_here("set")
    touch = _in_redis_or_here("touch")
    delete = _in_redis_or_here("delete")
    get_many = _in_redis_or_here("get_many")
    has_key = _in_redis_or_here("has_key")
    incr = _in_redis_or_here("incr")
    set_many = _in_redis_or_here("set_many")
    delete_many = _in_redis_or_here("delete_many")

    def clear(self) -> None:
        """Delete what has this cache's prefix, here and in Redis.

        Django's own would empty the database, jobs and registry included. Raises where Redis does not answer.
        """
        self.engine.local.clear()
        client = self._cache.get_client(write=True)
        for key in client.scan_iter(f"{self.key_prefix}:*", count=1_000):
            client.delete(key)
