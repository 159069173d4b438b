"""PodBus over Channels' channel layer: one channel per pod, at most once (design section 1, step 3)."""

import asyncio
import logging
from hashlib import sha256
from typing import Any, Final

from channels.exceptions import ChannelFull
from channels.layers import get_channel_layer

from messaging.adapters.outage import Outage
from messaging.ports import BatchesLost

logger = logging.getLogger(__name__)

#: The router waits this long for one batch, once a second at most; then the batch is dropped (s).
SEND_TIMEOUT_S: Final = 1.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 2.0


def channel_of(pod: str) -> str:
    """Return the pod's channel; a digest, since channel names allow fewer characters than host names and are short."""
    return "pod." + sha256(pod.encode()).hexdigest()[:32]


class ChannelLayerPodBus:
    """Sends and receives batches through the layer that CHAT_LAYER chose. From any loop.

    ``unreachable``: what the layer raises when it does not answer. Timeouts are OSErrors.
    """

    def __init__(self, *, unreachable: tuple[type[Exception], ...] = (OSError,)) -> None:
        self._layer: Any = get_channel_layer()
        self._unreachable = unreachable
        self._outage = Outage("channel layer")
        #: Pods that a batch could not be handed to; the next one says so.
        self._dropped: set[str] = set()
        #: Batches that came with that word, until they are asked for again.
        self._held: dict[str, bytes] = {}
        #: After the next failure to receive; longer each time, until one succeeds.
        self._pause_s = _FIRST_PAUSE_S

    async def send(self, pod: str, payload: bytes) -> bool:
        """Hand a batch over; False where the pod's channel is full, or the layer does not answer."""
        message: dict[str, Any] = {"type": "pod.batch", "data": payload}
        if pod in self._dropped:
            self._dropped.discard(pod)
            message["lost"] = True
        taken = await self._send(pod, message)
        if not taken:
            self._dropped.add(pod)
        return taken

    async def _send(self, pod: str, message: dict[str, Any]) -> bool:
        if self._outage.refuses():
            return False
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._layer.send(channel_of(pod), message)
        except self._unreachable as error:
            self._outage.failed(error)
            return False
        except ChannelFull:
            self._outage.succeeded()
            logger.warning("pod %s is behind: a batch was dropped", pod)
            return False
        self._outage.succeeded()
        return True

    async def receive(self, pod: str) -> bytes:
        """Return the pod's next batch. Raises BatchesLost before one that says so, or where no answer comes."""
        if pod in self._held:
            return self._held.pop(pod)
        try:
            message = await self._layer.receive(channel_of(pod))
        except self._unreachable as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # It was cancelled, and what the layer did about that failed.
                raise asyncio.CancelledError from error
            pause_s, self._pause_s = self._pause_s, min(self._pause_s * 2, _LONGEST_PAUSE_S)
            logger.warning("no batches for now: %s: %s; again in %.1f s", type(error).__name__, error, pause_s)
            await asyncio.sleep(pause_s)
            raise BatchesLost(type(error).__name__) from error
        self._pause_s = _FIRST_PAUSE_S
        data: bytes = message["data"]
        if message.get("lost"):
            self._held[pod] = data
            raise BatchesLost("dropped by their sender")
        return data
