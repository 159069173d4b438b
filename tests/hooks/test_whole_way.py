"""From a send to the endpoint of a bot: gateway, log, router, topic, dispatcher, job, and a real receiver."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from accounts.models import Bot
from messaging.domain import ids
from messaging.hooks.endpoints import make
from tests.conftest import outside_the_loop
from tests.gateway.conftest import Server, conv_ref, start_server  # noqa: F401  # a fixture
from tests.hooks.receiver import Receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("jobs_run_at_once")]


async def test_what_is_sent_reaches_the_endpoint(
    start_server: Callable[[], Awaitable[Server]],  # noqa: F811
    make_user: Callable[..., Any],
    make_dm: Callable[..., Any],
    receiver: Receiver,
) -> None:
    ann, user = make_user("ann"), make_user("robbie", is_bot=True)
    conv = conv_ref(make_dm(ann, user))

    def listen() -> str:
        return make(bot=Bot.objects.create(user=user), url=receiver.url, events=["message.created"])[1]

    receiver.secret = outside_the_loop(listen)
    client = await (await start_server()).sign_in(ann)
    sent = []
    async with asyncio.timeout(20):
        # The router asks again and again who listens; it may not have done so yet.
        while not receiver.got:
            sent.append((await client.say(conv, "hello"))["server_id"])
            await asyncio.to_thread(receiver.arrived.wait, 0.5)
    event = receiver.got[0]
    assert (event["type"], event["from"]) == ("message.created", ids.user_ref(ann.pk))
    assert event["message"]["body"] == "hello"
    assert event["server_id"] in sent
    assert receiver.forged == 0
