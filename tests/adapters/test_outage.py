"""What is known of an engine that is away: who is let through to ask, and what is said of it."""

import pytest

from messaging.adapters.outage import Outage


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_while_it_is_away_one_at_a_time_asks_and_the_others_are_told(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    outage = Outage("engine", try_s=15.0, monotonic=clock)
    assert not outage.refuses()
    outage.failed(OSError("refused"))
    assert outage.refuses()
    clock.now += 1.0
    assert not outage.refuses()
    # Somebody asks already, and takes long.
    clock.now += 14.9
    assert outage.refuses()
    outage.failed(OSError("refused"))
    clock.now += 1.0
    assert not outage.refuses()
    outage.succeeded()
    assert not outage.refuses()
    assert [record.getMessage() for record in caplog.records] == [
        "engine does not answer: OSError: refused",
        "engine answers again after 16.9 s",
    ]


def test_who_asks_and_never_says_what_they_found_keeps_nobody_out_for_good() -> None:
    clock = Clock()
    outage = Outage("engine", try_s=15.0, monotonic=clock)
    outage.failed(OSError("refused"))
    clock.now += 1.0
    outage.refuses()
    clock.now += 15.0
    assert not outage.refuses()


def test_one_asks_each_second_where_nothing_else_is_said() -> None:
    clock = Clock()
    outage = Outage("engine", monotonic=clock)
    outage.failed(OSError("refused"))
    for _ in range(3):
        clock.now += 1.0
        assert not outage.refuses()
        assert outage.refuses()
