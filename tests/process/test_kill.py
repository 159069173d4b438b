"""What was acked survives kill -9 of everything, again and again, in the middle of traffic (design section 1)."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.process.full_stack import FullStack, engines
from tests.process.stacks import EmbeddedStack, Stack
from tests.process.town import OPEN_RATES, PATIENCE_S, SENDERS, Town, all_is_well, town

pytestmark = [pytest.mark.process, pytest.mark.slow]

SEED: Final = 1
MESSAGES: Final = 2_000


@pytest.fixture(params=["embedded", "full"])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    data = tmp_path / "data"
    kind: Stack
    if request.param == "embedded":
        kind = EmbeddedStack(data, **OPEN_RATES)
    else:
        kind = FullStack(data, engines(request), **OPEN_RATES)
    with kind as started:
        yield started


async def kill_again_and_again(stack: Stack, town: Town, random: Random, kills: int) -> None:
    """Kill and restart everything at random moments, all of them in the middle of the traffic."""
    share = MESSAGES // (kills + 1)
    for number in range(kills):
        await town.until_acked(share * number + random.randint(share // 2, share))
        assert town.in_flight, "nothing would be at stake"
        await asyncio.to_thread(stack.kill, *stack.names)
        await asyncio.to_thread(stack.restart, *stack.names)


async def test_what_was_acked_survives_any_number_of_kills(stack: Stack) -> None:
    random = Random(SEED)
    # On the full stack each costs some ten seconds: the new routers wait until Kafka misses the dead ones.
    kills = 5 if isinstance(stack, EmbeddedStack) else 3
    async with asyncio.timeout(6 * PATIENCE_S), town(stack, random) as it:
        async with asyncio.TaskGroup() as group:
            group.create_task(kill_again_and_again(stack, it, random, kills))
            for device in it.devices[:SENDERS]:
                group.create_task(it.talk(device, MESSAGES // SENDERS, Random(random.random())))
        assert len(it.sent) == MESSAGES
        assert any(len(outgoing.written) > 1 for outgoing in it.sent), "nothing was ever sent again"
        await all_is_well(it, random)
