"""How Channels, Django's cache and Celery use Redis: their settings for one server (docs/decisions/0010 to 0012).

All three share a database: each keeps to names that begin with its own prefix.
"""

import ssl
from typing import Any, Final
from urllib.parse import urlsplit

from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from messaging.adapters.redis.clients import COMMAND_TIMEOUT_S, CONNECT_TIMEOUT_S

#: channels_redis asks for batches in questions of 5 s; a server that is silent for longer than this is gone (s).
_LAYER_SILENCE_S: Final = 10.0
#: A job that a worker took and has not ended is given to another after this long (s). Longer than any job may run or
#: wait for its retry, or jobs would run twice as a rule.
VISIBILITY_TIMEOUT_S: Final = 20 * 60


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
        "BACKEND": "messaging.adapters.redis.layer.PodChannelLayer",
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


def broker_options(*, prefix: str = "chat:jobs:") -> dict[str, Any]:
    """Return the Celery broker's options.

    Whoever queues a job learns within seconds that Redis is out (``OperationalError``); without ``max_retries`` it
    would wait until Redis is back.
    """
    return {
        "global_keyprefix": prefix,
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        # Look for such jobs every 10 s; kombu looks at every tenth of these only.
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        # A waiting worker asks in questions of 1 s.
        "socket_timeout": 2.0,
        "max_retries": 1,
        "interval_start": 0.1,
        "interval_step": 0.1,
        "interval_max": 0.2,
    }


def broker_tls(url: str) -> dict[str, Any] | None:
    """Return how the broker's connection is secured; None: not at all."""
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED} if urlsplit(url).scheme == "rediss" else None
