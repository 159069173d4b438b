"""A device drops copies, keeps the order of ``prev``, folds changes in and knows where something is missing."""

from itertools import permutations

import pytest

from clients.python.chat_client.timeline import Change, Message, Row, Timeline
from messaging.domain import ids


def ref(number: int) -> str:
    return ids.server_id(1, number + 1)


def message(number: int, **fields: object) -> Message:
    before = ref(number - 1) if number else None
    return Message(ref(number), "c", "ann", prev=before, ts=number, **fields)  # type: ignore[arg-type]


def change(number: int, op: str, target: int, **fields: object) -> Change:
    return Change(ref(number), "c", op, ref(number - 1), ref(target), "ann", ts=number, **fields)  # type: ignore[arg-type]


def shown(timeline: Timeline) -> list[str]:
    return [it.server_id for it in timeline.shown]


def test_copies_are_dropped() -> None:
    timeline = Timeline()
    assert timeline.take(message(0)) == [message(0)]
    assert timeline.take(message(0)) == []
    assert (shown(timeline), timeline.repeats, timeline.mark) == ([ref(0)], 1, ref(0))


@pytest.mark.parametrize("order", [*permutations(range(4))])
def test_any_order_of_arrival_becomes_the_order_of_the_chain(order: tuple[int, ...]) -> None:
    timeline = Timeline()
    for number in order:
        timeline.take(message(number))
    assert shown(timeline) == [ref(n) for n in range(4)]
    assert timeline.gap is None
    assert timeline.beginnings == []


def test_what_waits_is_held_but_not_shown() -> None:
    timeline = Timeline()
    timeline.take(message(0))
    for number in (3, 5, 2):
        assert timeline.take(message(number)) == []
    assert timeline.gap == ref(2), "the earlier of two holes"
    assert (timeline.holds(ref(5)), timeline.shows(ref(5)), timeline.shows(ref(0))) == (True, False, True)
    assert timeline.take(message(1)) == [message(1), message(2), message(3)]
    assert timeline.gap == ref(5)


def test_where_nothing_earlier_is_to_be_had_it_begins() -> None:
    timeline = Timeline()
    timeline.take(message(7))
    timeline.take(message(8))
    assert timeline.mark is None
    assert timeline.begin_at(ref(7)) == [message(7), message(8)]
    assert (shown(timeline), timeline.beginnings, timeline.gap) == ([ref(7), ref(8)], [ref(7)], None)


ROWS: list[Row] = [
    message(0, body="helo"),
    change(1, "edit", 0, body="hello"),
    change(2, "react", 0, emoji="👍", on=True, count=1),
    change(3, "edit", 0, body="hello!"),
]
FOLDED = message(0, body="hello!", edited_at=3, reactions=(("👍", 1),))


@pytest.mark.parametrize("order", [*permutations(range(4))])
def test_changes_are_folded_in_the_order_of_the_chain(order: tuple[int, ...]) -> None:
    timeline = Timeline()
    for number in order:
        timeline.take(ROWS[number])
    for row in ROWS:
        timeline.take(row)
    assert timeline.shown == [FOLDED]
    assert (timeline.mark, timeline.gap) == (ref(3), None)


def test_what_was_read_is_as_of_its_mark() -> None:
    timeline = Timeline()
    timeline.cover([FOLDED], [], ref(3))
    assert timeline.mark == ref(3)
    # What comes late is in it already; what is newer is not.
    for row in ROWS:
        timeline.take(row)
    assert timeline.shown == [FOLDED]
    timeline.take(change(4, "react", 0, emoji="👍", count=0))
    assert timeline.shown[0].reactions == ()
    timeline.cover([FOLDED], [], ref(3))
    assert timeline.shown[0].reactions == (), "an old page undoes nothing"
    timeline.take(change(5, "delete", 0))
    timeline.take(change(6, "edit", 0, body="back"))
    assert (timeline.shown[0].body, timeline.shown[0].deleted) == ("", True)


def test_what_was_read_fills_a_gap() -> None:
    timeline = Timeline()
    timeline.take(message(0))
    timeline.take(message(3))
    timeline.take(change(4, "edit", 0, body="x"))
    assert timeline.gap == ref(3)
    assert timeline.cover([message(1)], [change(2, "react", 1, emoji="👍", count=1)], ref(2)) == [
        message(1),
        message(3),
    ]
    assert (timeline.gap, timeline.mark, timeline.shown[0].body) == (None, ref(4), "x")


# --- a hot conversation: several chains --------------------------------------------------------------------


def place(moment: int, chain: int) -> str:
    return ids.server_id(1, moment << ids.TIME_SHIFT | chain << ids.OFFSET_BITS)


def in_chain(moment: int, chain: int, before: int | None = None) -> Message:
    return Message(place(moment, chain), "c", "ann", prev=None if before is None else place(before, chain), ts=moment)


def test_each_chain_has_a_mark_and_gaps_of_its_own() -> None:
    timeline = Timeline()
    for row in (in_chain(1, 0), in_chain(9, 3), in_chain(10, 3, 9), in_chain(4, 5)):
        assert timeline.take(row) == [row]
    assert shown(timeline) == [place(1, 0), place(4, 5), place(9, 3), place(10, 3)]
    assert timeline.mark == f"{place(1, 0)},{place(10, 3)},{place(4, 5)}"
    # Older than much that is shown, and one before it is missing.
    assert timeline.take(in_chain(7, 5, 6)) == []
    assert timeline.gap == place(7, 5)
    mark = f"{place(1, 0)},{place(10, 3)},{place(6, 5)}"
    assert timeline.cover([in_chain(6, 5, 4)], [], mark) == [in_chain(6, 5, 4), in_chain(7, 5, 6)]
    assert (timeline.gap, timeline.mark) == (None, f"{place(1, 0)},{place(10, 3)},{place(7, 5)}")


def test_a_chain_of_which_nothing_is_held_begins_with_its_first_row_only() -> None:
    timeline = Timeline()
    timeline.take(in_chain(1, 0))
    timeline.take(in_chain(3, 6, 2))
    assert (timeline.gap, timeline.mark) == (place(3, 6), place(1, 0))
    assert timeline.take(in_chain(2, 6)) == [in_chain(2, 6), in_chain(3, 6, 2)]


def test_of_an_earlier_life_nothing_is_shown_again() -> None:
    timeline = Timeline(ref(2))
    assert timeline.mark == ref(2)
    assert timeline.cover([message(1), message(2), message(3)], [], ref(3)) == [message(3)]
    assert timeline.take(message(2)) == []
    assert timeline.take(message(4)) == [message(4)]
    assert (shown(timeline), timeline.gap) == ([ref(3), ref(4)], None)


def test_only_the_newest_are_kept_and_what_was_let_go_stays_away() -> None:
    timeline = Timeline(keep=2)
    for number in range(5):
        timeline.take(message(number))
        timeline.trim()
    assert shown(timeline) == [ref(3), ref(4)]
    assert timeline.holds(ref(0))
    assert timeline.take(message(1)) == []
    timeline.take(change(5, "edit", 1, body="late"))
    timeline.take(change(6, "edit", 3, body="kept"))
    assert [it.body for it in timeline.shown] == ["kept", ""]


def test_what_is_over_its_time_is_dropped() -> None:
    timeline = Timeline()
    for number in range(4):
        timeline.take(message(number))
    timeline.expire(ref(2))
    assert shown(timeline) == [ref(2), ref(3)]
    assert timeline.cover([message(0), message(1)], [], ref(3)) == []
    timeline.expire(ref(1))
    assert shown(timeline) == [ref(2), ref(3)]


def test_what_moderators_withhold_says_nothing_until_they_give_it_back() -> None:
    timeline = Timeline()
    timeline.take(message(0, body="bad", media=("f_1",), reactions=(("👍", 1),)))
    timeline.take(change(1, "takedown", 0))
    [withheld] = timeline.shown
    assert (withheld.body, withheld.media, withheld.withheld) == ("", (), True)
    timeline.take(change(2, "restore", 0, body="good", media=("f_1",), edited_at=7))
    [back] = timeline.shown
    assert (back.body, back.media, back.withheld, back.edited_at) == ("good", ("f_1",), False, 7)
    assert back.reactions == (("👍", 1),)
