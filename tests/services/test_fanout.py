"""A message costs at most one batch for each pod, however many members its group has."""

import asyncio

import pytest

from chatproject import container
from messaging.domain import events, frames, ids
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.services.fanout import BATCHES, MESSAGE_PODS, FanOut, fan_out

PODS = ("one", "two")
USERS = [UserId(number) for number in range(1, 5_001)]
CONV = ConversationId(7)
MESSAGE = frames.Msg(ids.server_id(CONV, MessageId(9)), ids.conversation_ref(CONV), ids.user_ref(1), 0, "hello")


@pytest.mark.parametrize("messages", [1, 3])
async def test_a_batch_for_each_pod_whatever_the_size_of_the_group(messages: int) -> None:
    registry, bus = container.registry(), container.pod_bus()
    for number, pod in enumerate(PODS):
        # Everybody is at one of the two, with two devices; some are at both.
        here = [user for user in USERS if user % 2 == number or user % 100 == 0]
        await registry.register(pod, [(user, f"{user}-{device}") for user in here for device in range(2)])
    batches, counted = BATCHES._value.get(), MESSAGE_PODS._sum.get()
    done = await fan_out([events.Deliver(USERS, MESSAGE)] * messages, registry=registry, bus=bus)
    assert done == FanOut(batches=len(PODS), connected=frozenset(USERS))
    assert BATCHES._value.get() - batches == len(PODS)
    assert MESSAGE_PODS._sum.get() - counted == messages * len(PODS)
    for number, pod in enumerate(PODS):
        async with asyncio.timeout(5):
            batch = events.decode_batch(await bus.receive(pod)).events
        assert len(batch) == messages
        for event in batch:
            assert isinstance(event, events.Deliver)
            assert len(event.users) == len(set(event.users)), "nobody is named twice"
            assert set(event.users) == {user for user in USERS if user % 2 == number or user % 100 == 0}
