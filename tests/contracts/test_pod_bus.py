"""What every PodBus promises (messaging/ports.py): order, at most once, and no waiting for the slow."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from messaging.adapters.channel_layer.bus import ChannelLayerPodBus
from messaging.adapters.redis import options
from messaging.adapters.redis.clients import UNREACHABLE
from messaging.ports import BatchesLost, PodBus

CAPACITY = 10


def _memory(_: pytest.FixtureRequest) -> dict[str, Any]:
    return {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": CAPACITY}}


def _redis(request: pytest.FixtureRequest) -> dict[str, Any]:
    url = request.getfixturevalue("redis_server").environment()["CHAT_REDIS_URL"]
    return options.channel_layer(url, prefix=f"{uuid4()}:", capacity=CAPACITY)


LAYERS = {"memory": _memory, "redis": _redis}


@pytest.fixture(params=LAYERS)
def bus(request: pytest.FixtureRequest, settings: Any) -> PodBus:
    settings.CHANNEL_LAYERS = {"default": LAYERS[request.param](request)}
    return ChannelLayerPodBus(unreachable=UNREACHABLE)


async def test_batches_arrive_in_order_at_their_pod_alone(bus: PodBus) -> None:
    for number in range(5):
        assert await bus.send("pod-one.example:1", b"%d" % number)
        assert await bus.send("pod two ☕", b"x")
    async with asyncio.timeout(5):
        assert [await bus.receive("pod-one.example:1") for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
        assert await bus.receive("pod two ☕") == b"x"


async def test_a_pod_that_does_not_read_costs_the_sender_a_false_and_no_wait(bus: PodBus) -> None:
    sent = [await bus.send("p", b"%d" % number) for number in range(CAPACITY + 5)]
    assert sent == [True] * CAPACITY + [False] * 5
    async with asyncio.timeout(5):
        assert [await bus.receive("p") for _ in range(CAPACITY)] == [b"%d" % number for number in range(CAPACITY)]
    for body in (b"again", b"and again"):
        assert await bus.send("p", body)
    async with asyncio.timeout(5):
        with pytest.raises(BatchesLost):
            await bus.receive("p")
        # It is told once, and nothing is lost by that.
        assert [await bus.receive("p") for _ in range(2)] == [b"again", b"and again"]


async def test_a_reader_that_was_cancelled_loses_nothing_sent_later(bus: PodBus) -> None:
    waiting = asyncio.ensure_future(bus.receive("p"))
    await asyncio.wait([waiting], timeout=0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await bus.send("p", b"kept")
    async with asyncio.timeout(5):
        assert await bus.receive("p") == b"kept"
