"""RateLimiter in Redis: one round trip for as many tokens as are wanted. While Redis is out, each process alone."""

from hashlib import sha1
from typing import Any, Final

from redis.exceptions import NoScriptError

from messaging.adapters.embedded.rates import MemoryRateLimiter
from messaging.adapters.outage import Outage
from messaging.adapters.redis.clients import UNREACHABLE, LoopClients

#: KEYS[1]: a bucket. ARGV: tokens wanted, rate a second, burst. Returns the tokens taken and the seconds to the next.
#: Redis' clock counts, so that no machine's does.
_TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local rate, burst = tonumber(ARGV[2]), tonumber(ARGV[3])
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = math.min(burst, (tonumber(bucket[1]) or burst) + math.max(0, now - (tonumber(bucket[2]) or now)) * rate)
local granted = math.min(math.floor(tokens), tonumber(ARGV[1]))
tokens = tokens - granted
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
local wait = 0
if granted < tonumber(ARGV[1]) then wait = (1 - tokens) / rate end
return {granted, tostring(wait)}
"""
_SHA: Final = sha1(_TAKE.encode(), usedforsecurity=False).hexdigest()


class RedisRateLimiter:
    """See the module and the port."""

    def __init__(self, url: str, *, prefix: str = "chat:rate:") -> None:
        self._clients = LoopClients(url)
        self._prefix = prefix
        self._outage = Outage("rates")
        self._local = MemoryRateLimiter()

    async def take(self, name: str, wanted: int, *, rate_per_s: float, burst: int) -> tuple[int, float]:
        """Take tokens; see the port."""
        if not self._outage.refuses():
            try:
                granted, wait_s = await self._run(f"{self._prefix}{name}", wanted, rate_per_s, burst)
            except UNREACHABLE as error:
                self._outage.failed(error)
            else:
                self._outage.succeeded()
                return int(granted), float(wait_s)
        return await self._local.take(name, wanted, rate_per_s=rate_per_s, burst=burst)

    async def _run(self, key: str, *arguments: float) -> Any:
        mine = await self._clients.get()
        async with mine.places:
            try:
                return await mine.client.execute_command("EVALSHA", _SHA, 1, key, *arguments)
            except NoScriptError:
                return await mine.client.execute_command("EVAL", _TAKE, 1, key, *arguments)
