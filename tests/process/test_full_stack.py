"""Pods and routers that come and go one by one, on the distributed engines (design sections 1, 2 and 6)."""

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Final
from uuid import uuid4

import psycopg
import pytest

from tests.client import Device
from tests.process.full_stack import FullStack, engines
from tests.process.town import OPEN_RATES, PATIENCE_S, SENDERS, all_is_well, everything_arrived, town
from tests.rest import Rest

pytestmark = [pytest.mark.process, pytest.mark.slow]

SEED: Final = 2
MESSAGES: Final = 1_000


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullStack]:
    with FullStack(tmp_path_factory.mktemp("full") / "data", engines(request), **OPEN_RATES) as started:
        yield started


async def test_every_device_of_both_hears_the_other_pod(stack: FullStack) -> None:
    """Ann's and Bob's devices are on both pods each; messages cross in both directions, the author's own included."""
    # Names of their own, for a second try.
    again = uuid4().hex[:8]
    people = await asyncio.to_thread(stack.people, {f"ann-{again}": 2, f"bob-{again}": 2})
    devices = [
        Device([gateway], account, name=f"{name} at {gateway}", heartbeat_s=300.0)
        for name, accounts in people.items()
        for gateway, account in zip(stack.gateways, accounts, strict=True)
    ]
    ann, bob = (accounts[0] for accounts in people.values())
    rest = Rest(stack.gateways, ann.token)
    conv = (await rest.call("POST", "conversations", {"type": "dm", "members": [bob.user]}))["id"]
    await rest.close()
    running = [asyncio.create_task(device.run()) for device in devices]
    try:
        async with asyncio.timeout(PATIENCE_S):
            for device in devices:
                await device.until(lambda device=device: device.up)  # type: ignore[misc]
            sent = [
                await device.send(conv, f"{number} from {device.name}") for number in range(5) for device in devices
            ]
            for device in devices:
                await device.settled(*(one for one in sent if one.msg_id in device.sent))
            ids = [str(one.server_id) for one in sent]
            for device in devices:
                timeline = device.timeline(conv)
                await device.until(lambda timeline=timeline: all(timeline.shows(it) for it in ids))  # type: ignore[misc]
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for device in devices:
            await device.close()
    # Live, and not by a repair: no heartbeat came in this time, and nobody saw a gap.
    assert {arrival.via for device in devices for arrival in device.arrivals if arrival.message.server_id in ids} == {
        "live"
    }


async def test_requests_share_their_connections_to_the_database(stack: FullStack) -> None:
    ((account,),) = (await asyncio.to_thread(stack.people, {f"cat-{uuid4().hex[:8]}": 1})).values()
    rest = Rest(stack.gateways[:1], account.token)
    await rest.call("GET", "me")
    before = sessions(stack)
    for _ in range(20):
        await rest.call("GET", "me")
    assert sessions(stack) <= before + 1
    await asyncio.gather(*(rest.call("GET", "me") for _ in range(60)))
    assert sessions(stack) <= before + 20
    await rest.close()


def sessions(stack: FullStack) -> int:
    """Return how many connections the stack has to its database."""
    with psycopg.connect(stack.variables["CHAT_DATABASE_URL"], application_name="a test") as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'chat'"
        ).fetchone()
    assert found is not None
    return int(found[0])


@pytest.mark.parametrize("victims", [("gateway-1",), ("router-1",), ("router-2", "gateway-2")])
async def test_what_was_acked_survives_the_death_of_a_part(stack: FullStack, victims: tuple[str, ...]) -> None:
    """The others go on: clients of a dead pod find another, and a dead router's partitions move."""
    random = Random(SEED)
    async with asyncio.timeout(6 * PATIENCE_S), town(stack, random) as it:

        async def harm() -> None:
            await it.until_acked(MESSAGES // 4)
            assert it.in_flight, "nothing would be at stake"
            await asyncio.to_thread(stack.kill, *victims)

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(harm())
                for device in it.devices[:SENDERS]:
                    group.create_task(it.talk(device, MESSAGES // SENDERS, Random(random.random())))
            # While the victims are dead.
            await everything_arrived(it)
        finally:
            await asyncio.to_thread(stack.restart, *victims)
        await all_is_well(it, random)
