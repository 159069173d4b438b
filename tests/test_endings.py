"""Tasks end, also those that lose a cancellation in somebody else's client."""

import asyncio
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer

from messaging.adapters.channel_layer.bus import ChannelLayerPodBus
from messaging.endings import end


async def test_a_task_that_takes_a_cancellation_for_a_failure_is_ended() -> None:
    lost = 0

    async def loop() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1
                if lost > 1:
                    raise

    async def failed() -> None:
        raise OSError

    tasks = [asyncio.create_task(work()) for work in (loop, failed, asyncio.Event().wait)]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await end(tasks)
    assert lost == 2
    assert all(task.done() for task in tasks)


class _Untidy(InMemoryChannelLayer):  # type: ignore[misc]  # channels has no types
    """As the layer on Redis, which puts back what it had read when it is cancelled, and may fail at that."""

    async def receive(self, channel: str) -> Any:
        try:
            return await super().receive(channel)
        except asyncio.CancelledError:
            raise ConnectionError from None


async def test_a_cancelled_wait_for_batches_ends_though_the_layer_fails_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = ChannelLayerPodBus()
    monkeypatch.setattr(bus, "_layer", _Untidy())
    waiting = asyncio.create_task(bus.receive("pod"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
