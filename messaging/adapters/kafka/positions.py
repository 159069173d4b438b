"""Where records with a dedupe key went, in Redis: the first of the two lines of dedupe (design section 2).

Redis may be gone at any time. Then every key is new here, and the router, which has the second line, drops the copies.
"""

import logging
import struct
import threading
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from prometheus_client import Gauge
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from messaging.adapters.log_metrics import DEDUPE_HITS
from messaging.ports import Position

logger = logging.getLogger(__name__)

DOWN = Gauge("chat_log_dedupe_down", "1 while Redis is not asked for dedupe keys, since it does not answer.")

#: Topic and dedupe key.
Key = tuple[str, bytes]

_TIMEOUT_S: Final = 0.25
_PROBE_S: Final = 1.0
_PLACE: Final = struct.Struct(">IQQ")
_TIME: Final = struct.Struct(">Q")


class Positions:
    """Remembers positions for ``ttl``. Blocks for about 0.25 s at most; not at all while Redis is known to be gone."""

    def __init__(self, url: str, *, prefix: str, ttl: timedelta) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            # The next batch asks again soon enough.
            retry=Retry(NoBackoff(), 0),
        )
        self._prefix = f"{prefix}position:".encode()
        self._horizon = f"{prefix}position-horizon".encode()
        self._ttl = ttl
        self._down = threading.Event()
        self._closed = threading.Event()

    def exchange(self, keep: Sequence[tuple[Key, Position]], ask: Sequence[Key]) -> dict[Key, Position]:
        """Remember ``keep``, then return what is known of ``ask``: one round trip. Never raises."""
        if not (keep or ask) or self._down.is_set():
            return {}
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for key, place in keep:
                value = _PLACE.pack(place.partition, place.offset, place.ts_ms)
                pipeline.set(self._name(key), value, ex=self._ttl)
            if ask:
                pipeline.mget(self._horizon, *(self._name(key) for key in ask))
            answers = pipeline.execute()
        except RedisError as error:
            self._lost(error)
            return {}
        return self._known(ask, answers[-1]) if ask else {}

    def _known(self, ask: Iterable[Key], answer: list[bytes | None]) -> dict[Key, Position]:
        horizon_ms = 0 if answer[0] is None else _TIME.unpack(answer[0])[0]
        found: dict[Key, Position] = {}
        for key, value in zip(ask, answer[1:], strict=True):
            if value is not None:
                partition, offset, ts_ms = _PLACE.unpack(value)
                if ts_ms >= horizon_ms:
                    found[key] = Position(partition, offset, ts_ms, duplicate=True)
        DEDUPE_HITS.labels("redis").inc(len(found))
        return found

    def forget_before(self, ts_ms: int) -> None:
        """Forget keys of records older than ``ts_ms`` (Unix ms). Never raises."""
        try:
            # A mark, and not a search for the keys: each goes by its own time.
            self._redis.set(self._horizon, _TIME.pack(ts_ms), ex=self._ttl)
        except RedisError as error:
            logger.warning("dedupe keys before %d stay until their time is over: %s", ts_ms, error)

    def close(self) -> None:
        """Close the connections."""
        self._closed.set()
        self._redis.close()

    def _name(self, key: Key) -> bytes:
        topic, dedup_key = key
        return b"%s%s:%s" % (self._prefix, topic.encode(), dedup_key)

    def _lost(self, error: RedisError) -> None:
        """Stop asking; a thread finds out when Redis is back, so that no batch waits for it."""
        logger.warning("no dedupe by Redis until it answers again; the router still drops copies: %s", error)
        self._down.set()
        DOWN.set(1)
        threading.Thread(target=self._probe, name="log-positions-probe", daemon=True).start()

    def _probe(self) -> None:
        while not self._closed.wait(_PROBE_S):
            try:
                self._redis.ping()
            except RedisError:
                continue
            logger.info("dedupe by Redis again")
            DOWN.set(0)
            self._down.clear()
            return
