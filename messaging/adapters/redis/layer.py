"""The channel layer between pods: channels_redis' own, with one round trip for a batch on either side, not four.

Three of the four of its ``receive`` guard a message against a reader that is cancelled half way. A pod's one listener
is cancelled when the pod ends, and its connections with it; and batches arrive at most once in any case.
"""

import time
from collections.abc import Mapping
from typing import Any, Final

from channels.exceptions import ChannelFull
from channels_redis.core import RedisChannelLayer

#: KEYS[1] gets the message ARGV[1] at the time ARGV[2]; what is older than ARGV[3] goes, and all of it after ARGV[4]
#: seconds without a call. Returns 0, and adds nothing, where it holds ARGV[5] messages.
_PUT: Final = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[5]) then
    return 0
end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""


class PodChannelLayer(RedisChannelLayer):  # type: ignore[misc]  # channels_redis has no types
    """A layer for channels with one reader each and messages that may be lost."""

    async def send(self, channel: str, message: Mapping[str, Any]) -> None:
        """Put a message into a channel: one round trip. Raises ChannelFull."""
        self.require_valid_channel_name(channel)
        now = time.time()
        stored = await self.connection(next(self._send_index_generator)).eval(
            _PUT,
            1,
            self.prefix + channel,
            self.serialize(message),
            now,
            now - self.expiry,
            self.expiry,
            self.get_capacity(channel),
        )
        if not stored:
            raise ChannelFull

    async def receive(self, channel: str) -> dict[str, Any]:
        """Return the channel's next message: one round trip for each, or for each 5 s without any."""
        self.require_valid_channel_name(channel, receive=True)
        connection = self.connection(next(self._receive_index_generator))
        while True:
            found = await connection.bzpopmin(self.prefix + channel, timeout=self.brpop_timeout)
            if found is not None:
                message: dict[str, Any] = self.deserialize(found[1])
                return message
