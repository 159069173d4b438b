"""No sequence of events breaks a promise: what the machine tries, and what it has found (tests/machine/machine.py)."""

from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from clients.python.chat_client.timeline import chain_of
from tests.machine.machine import ChatMachine, Part

pytestmark = pytest.mark.slow


def move(new_machine: Callable[[], ChatMachine], *, share: float) -> None:
    """Run the machine for a share of the profile's examples."""
    profile = settings.default
    assert profile is not None
    mine = settings(max_examples=int(profile.max_examples * share), stateful_step_count=20)
    run_state_machine_as_test(cast("type[ChatMachine]", new_machine), settings=mine)


def test_no_sequence_of_events_breaks_a_promise(new_machine: Callable[[], ChatMachine]) -> None:
    # One of these takes a hundred times as long as an example of a pure property.
    move(new_machine, share=0.3)


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_nor_does_it_on_kafka_cassandra_redis_and_postgresql(new_full_machine: Callable[[], ChatMachine]) -> None:
    # And here each costs some seconds.
    move(new_full_machine, share=0.1)


# --- found, and made short ------------------------------------------------------------------------
# Talk 1 is a group of Ann with Bob and Cat, talk 2 of Bob with Dan. Devices 0 and 1 are Ann's, 2 and 3 Bob's, 4 is
# Cat's, 5 Dan's. With the router held, what is acked is in the log and nowhere else.


@pytest.fixture
def machine(new_machine: Callable[[], ChatMachine]) -> ChatMachine:
    """A machine at rest, whose router is then held."""
    machine = new_machine()
    machine.begin()
    machine.rest()
    machine.crash(Part.ROUTER, number=0, talk=0, count=0, acks=0)
    return machine


def test_what_was_acked_is_kept_though_its_author_left_before_the_router_came_to_it(machine: ChatMachine) -> None:
    machine.send(number=5, talk=2, count=2, wait=True)
    machine.leave(which=machine.removable.index((machine.talks[2], "dan")))
    machine.teardown()


def test_who_joins_sees_nothing_from_before_though_the_router_comes_to_it_later(machine: ChatMachine) -> None:
    machine.send(number=2, talk=2, count=2, wait=True)
    machine.add(which=machine.addable.index((machine.talks[2], "ann")))
    machine.send(number=2, talk=2, count=2, wait=True)
    machine.teardown()


def test_who_comes_back_sees_nothing_of_the_time_between(machine: ChatMachine) -> None:
    machine.send(number=5, talk=2, count=1, wait=True)
    machine.leave(which=machine.removable.index((machine.talks[2], "dan")))
    machine.send(number=2, talk=2, count=2, wait=True)
    machine.add(which=machine.addable.index((machine.talks[2], "dan")))
    machine.crash(Part.ALL, number=2, talk=2, count=3, acks=1)
    machine.teardown()


def test_a_conversation_is_spread_and_gathered_while_it_is_in_use(machine: ChatMachine) -> None:
    for k in (3, 31, 1, 2):
        machine.spread(talk=1, k=k)
        for number in (0, 2, 4):
            machine.send(number=number, talk=1, count=3, wait=True)
        machine.resend(which=len(machine.sent) - 1, elsewhere=False)
        machine.crash(Part.ALL, number=2, talk=1, count=3, acks=1)
        for number in range(len(machine.devices)):
            machine.connect(number=number)
        machine.edit(number=0, talk=1, which=1, wait=True)
    machine.rest()
    chains = {
        chain_of(it.server_id) for device in machine.devices for it in device.timeline(machine.talks[1].conv).shown
    }
    assert len(chains) > 2
    machine.teardown()
