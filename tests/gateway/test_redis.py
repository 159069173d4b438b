"""A gateway and a router that share Redis: what an outage costs, and that it is over soon after Redis is back."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from accounts.models import User
from chatproject import container, runtime
from messaging.adapters.redis import options
from messaging.domain import ids
from messaging.domain.ids import UserId
from tests.adapters.test_redis_registry import until
from tests.conftest import outside_the_loop
from tests.gateway.conftest import Client, Server, conv_ref
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def redis(own_service: Callable[[type[RedisServer]], RedisServer], settings: Any) -> RedisServer:
    """Return the Redis that the registry and the channel layer of this test use."""
    server = own_service(RedisServer)
    variables = {**server.environment(), "CHAT_REGISTRY": "redis", "CHAT_LAYER": "redis"}
    settings.ENV = replace(settings.ENV, values={**settings.ENV.values, **variables})
    settings.CHANNEL_LAYERS = {"default": options.channel_layer(variables["CHAT_REDIS_URL"])}
    return server


#: What is said to see whether it arrives.
CALL = "are you there?"


class Talk:
    """Ann and Bob, connected, with a conversation."""

    def __init__(self, ann: Client, bob: Client, conversation: Any, bob_user: User) -> None:
        self.ann, self.bob, self.bob_user = ann, bob, bob_user
        self.conversation = conversation
        self.conv = conv_ref(conversation)

    async def arrives(self, body: str) -> bool:
        """Say something; return whether Bob has it half a second after its ack."""
        await self.ann.say(self.conv, body)
        # The router delivers after the ack, and of a lost batch nothing would tell.
        await asyncio.sleep(0.5)
        return any(frame["op"] == "msg" and frame["body"] == body for frame in await self.bob.quiet())

    async def until_delivered(self, *, within_s: float) -> float:
        """Say things until Bob gets one; return how long that took (s)."""
        started = time.monotonic()
        async with asyncio.timeout(within_s):
            while not await self.arrives(CALL):
                pass
        return time.monotonic() - started

    def stored(self) -> list[str]:
        """Return what the router stored, but for the calls; oldest first."""
        store = container.message_store()
        rows = outside_the_loop(lambda: store.newest(self.conversation.id, limit=100))
        return [row.body for row in reversed(rows) if row.body != CALL]


@pytest.fixture
async def talk(
    redis: RedisServer,
    start_server: Callable[[], Awaitable[Server]],
    make_user: Callable[..., User],
    make_dm: Callable[..., Any],
) -> Talk:
    server = await start_server()
    ann, bob = make_user("ann"), make_user("bob")
    conversation = make_dm(ann, bob)
    return Talk(await server.sign_in(ann), await server.sign_in(bob), conversation, bob)


@pytest.mark.parametrize("harm", ["kill", "pause"])
async def test_the_router_goes_on_storing_while_redis_is_out(redis: RedisServer, talk: Talk, harm: str) -> None:
    await talk.until_delivered(within_s=20)
    await asyncio.to_thread(getattr(redis, harm))
    said = [f"during {number}" for number in range(5)]
    for body in said:
        await talk.ann.say(talk.conv, body)
    await until(lambda: talk.stored() == said, timeout_s=8)
    assert not any(frame["op"] == "msg" for frame in await talk.bob.quiet())

    await asyncio.to_thread(redis.start if harm == "kill" else redis.resume)
    await talk.until_delivered(within_s=20)
    # What was missed is asked for: the gap shows in ``prev``.
    await talk.bob.send("sync", marks={talk.conv: ids.server_id(talk.conversation.id, ids.MessageId(1))})
    backfill = await talk.bob.expect("backfill", conv=talk.conv)
    assert [message["body"] for message in backfill["messages"] if message["body"] != CALL] == said
    # And everybody is asked to, also who hears of no gap.
    async with asyncio.timeout(20):
        while not any(frame["op"] == "resync" for frame in talk.ann.passed):
            talk.ann.passed.append(json.loads(await talk.ann.connection.recv()))


async def test_a_registry_that_lost_its_memory_is_filled_again(redis: RedisServer, talk: Talk) -> None:
    await talk.until_delivered(within_s=20)
    bob = UserId(talk.bob_user.pk)
    await talk.ann.send("presence", users=[ids.user_ref(bob)])
    await talk.ann.expect("presence", user=ids.user_ref(bob))
    pod = await runtime.pod()
    assert await container.registry().watchers([bob]) == {bob: [pod.name]}
    with Redis.from_url(redis.environment()["CHAT_REDIS_URL"]) as client:
        client.flushall()
    assert await container.registry().watchers([bob]) == {}

    assert await talk.until_delivered(within_s=30) < 15
    # Whom somebody watches is repeated in turns, all of them within 50 s.
    for turn in range(5):
        await pod._register_again(turn)
    assert await container.registry().watchers([bob]) == {bob: [pod.name]}
