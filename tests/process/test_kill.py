"""What was acked survives kill -9 of everything, again and again, in the middle of traffic (design section 1)."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.process.stacks import EmbeddedStack, Stack
from tests.process.town import OPEN_RATES, PATIENCE_S, SENDERS, Town, all_is_well, town

pytestmark = [pytest.mark.process, pytest.mark.slow]

SEED: Final = 1
MESSAGES: Final = 2_000
KILLS: Final = 5


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with EmbeddedStack(tmp_path / "data", **OPEN_RATES) as started:
        yield started


async def kill_again_and_again(stack: Stack, town: Town, random: Random) -> None:
    """Kill and restart at random moments, all of them in the middle of the traffic."""
    share = MESSAGES // (KILLS + 1)
    for number in range(KILLS):
        await town.until_acked(share * number + random.randint(share // 2, share))
        assert town.in_flight, "nothing would be at stake"
        for name in stack.names:
            await asyncio.to_thread(stack.kill, name)
        for name in stack.names:
            await asyncio.to_thread(stack.restart, name)


async def test_what_was_acked_survives_any_number_of_kills(stack: Stack) -> None:
    random = Random(SEED)
    async with asyncio.timeout(6 * PATIENCE_S), town(stack, random) as it:
        async with asyncio.TaskGroup() as group:
            group.create_task(kill_again_and_again(stack, it, random))
            for device in it.devices[:SENDERS]:
                group.create_task(it.talk(device, MESSAGES // SENDERS, Random(random.random())))
        assert len(it.sent) == MESSAGES
        assert any(len(outgoing.written) > 1 for outgoing in it.sent), "nothing was ever sent again"
        await all_is_well(it, random)
