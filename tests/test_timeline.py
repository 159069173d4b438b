"""A device drops copies, keeps the order of ``prev`` and knows where something is missing."""

from itertools import permutations

import pytest

from tests.timeline import Message, Timeline


def message(number: int) -> Message:
    return Message(f"m{number}", "c", "ann", prev=f"m{number - 1}" if number else None, ts=number)


def shown(timeline: Timeline) -> list[str]:
    return [it.server_id for it in timeline.shown]


def test_copies_are_dropped() -> None:
    timeline = Timeline()
    assert timeline.take(message(0)) == [message(0)]
    assert timeline.take(message(0)) == []
    assert (shown(timeline), timeline.repeats, timeline.mark) == (["m0"], 1, "m0")


@pytest.mark.parametrize("order", [*permutations(range(4))])
def test_any_order_of_arrival_becomes_the_order_of_the_chain(order: tuple[int, ...]) -> None:
    timeline = Timeline()
    for number in order:
        timeline.take(message(number))
    assert shown(timeline) == ["m0", "m1", "m2", "m3"]
    assert timeline.gap is None
    assert timeline.beginnings == []


def test_what_waits_is_held_but_not_shown() -> None:
    timeline = Timeline()
    timeline.take(message(0))
    for number in (3, 5, 2):
        assert timeline.take(message(number)) == []
    assert timeline.gap == "m2", "the earlier of two holes"
    assert (timeline.holds("m5"), timeline.shows("m5"), timeline.shows("m0")) == (True, False, True)
    assert timeline.take(message(1)) == [message(1), message(2), message(3)]
    assert timeline.gap == "m5"


def test_where_nothing_earlier_is_to_be_had_it_begins() -> None:
    timeline = Timeline()
    timeline.take(message(7))
    timeline.take(message(8))
    assert timeline.mark is None
    assert timeline.begin_at("m7") == [message(7), message(8)]
    assert (shown(timeline), timeline.beginnings, timeline.gap) == (["m7", "m8"], ["m7"], None)
