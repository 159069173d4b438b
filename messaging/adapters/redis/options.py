"""How Channels, Django's cache and Celery use Redis: their settings for one server (docs/decisions/0010 to 0012).

All three share a database: each keeps to names that begin with its own prefix.
"""

from typing import Any

from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from messaging.adapters.redis.clients import COMMAND_TIMEOUT_S, CONNECT_TIMEOUT_S

#: channels_redis asks for batches in questions of 5 s; a server that is silent for longer than this is gone (s).
_LAYER_SILENCE_S = 10.0


def channel_layer(url: str, *, prefix: str = "chat:bus:", capacity: int = 1_000) -> dict[str, Any]:
    """Return the channel layer's setting. ``capacity`` in batches for one pod: what does not fit is dropped.

    The core layer, not the pub/sub one: the latter loses what is sent while a pod reconnects, and says of nothing
    that it was dropped.
    """
    host = {
        "address": url,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": _LAYER_SILENCE_S,
        # A batch that may have been taken must not be taken twice; the bus counts it as dropped.
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
    }
    return {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [host], "prefix": prefix, "capacity": capacity, "expiry": 60},
    }


def cache(url: str, *, prefix: str = "chat:cache") -> dict[str, Any]:
    """Return the cache's setting; while Redis is out, each process keeps its own."""
    return {
        "BACKEND": "messaging.adapters.redis.cache.RedisOrLocalCache",
        "LOCATION": url,
        "KEY_PREFIX": prefix,
        "OPTIONS": {
            "serializer": "messaging.adapters.redis.cache.JsonSerializer",
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            "socket_timeout": COMMAND_TIMEOUT_S,
            "max_connections": 100,
            "protocol": 2,
            "driver_info": None,
        },
    }
