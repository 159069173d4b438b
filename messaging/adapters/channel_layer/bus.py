"""PodBus over Channels' channel layer: one channel per pod, at most once (design section 1, step 3)."""

from hashlib import sha256
from typing import Any

from channels.exceptions import ChannelFull
from channels.layers import get_channel_layer


def channel_of(pod: str) -> str:
    """Return the pod's channel; a digest, since channel names allow fewer characters than host names and are short."""
    return "pod." + sha256(pod.encode()).hexdigest()[:32]


class ChannelLayerPodBus:
    """Sends and receives batches through the layer that CHAT_LAYER chose."""

    def __init__(self) -> None:
        self._layer: Any = get_channel_layer()

    async def send(self, pod: str, payload: bytes) -> bool:
        """Hand a batch over; False where the pod's channel is full."""
        try:
            await self._layer.send(channel_of(pod), {"type": "pod.batch", "data": payload})
        except ChannelFull:
            return False
        return True

    async def receive(self, pod: str) -> bytes:
        """Return the pod's next batch."""
        message = await self._layer.receive(channel_of(pod))
        data: bytes = message["data"]
        return data
