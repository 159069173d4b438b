"""Allowances and timers as values: the tests bring the time."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from messaging.domain.buckets import Spacing, TimerWheel, TokenBucket

rates = st.floats(0.1, 1_000.0)
bursts = st.integers(1, 100)
gaps = st.lists(st.floats(0.0, 5.0), max_size=60)


@given(rates, bursts, gaps)
def test_a_bucket_never_gives_more_than_its_burst_and_its_rate(rate: float, burst: int, gaps: list[float]) -> None:
    now, taken = 100.0, 0
    bucket = TokenBucket(rate_per_s=rate, burst=burst, now=now)
    for gap in gaps:
        now += gap
        while bucket.take(now) == 0.0:
            taken += 1
        assert taken <= burst + (now - 100.0) * rate + 1e-6


@given(rates, bursts, gaps)
@example(1.25, 1, [0.0, 0.0])
def test_who_waits_as_long_as_was_said_gets_a_token(rate: float, burst: int, gaps: list[float]) -> None:
    now = 100.0
    bucket = TokenBucket(rate_per_s=rate, burst=burst, now=now)
    for gap in gaps:
        now += gap
        wait_s = bucket.take(now)
        assert 0.0 <= wait_s <= 1.0 / rate
        if wait_s:
            if wait_s * rate > 1e-6:
                assert bucket.take(now + wait_s * 0.9) > 0.0
            now += wait_s
            assert bucket.take(now) == 0.0


def test_a_full_bucket_lets_its_burst_through_and_fills_up_again() -> None:
    bucket = TokenBucket(rate_per_s=2.0, burst=3, now=0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert [bucket.take(100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_an_event_of_a_key_passes_once_in_the_interval() -> None:
    spacing: Spacing[str] = Spacing(interval_s=1.0, keys=2)
    assert [spacing.take("a", now) for now in (0.0, 0.9, 1.0, 1.9, 2.0)] == [True, False, True, False, True]


def test_more_keys_than_are_remembered_are_refused_until_one_is_old() -> None:
    spacing: Spacing[str] = Spacing(interval_s=1.0, keys=2)
    taken = [spacing.take(key, now) for now in (0.0, 0.5, 0.9) for key in "abc"]
    assert taken == [True, True, False] + [False] * 6
    assert spacing.take("c", 1.0)
    assert spacing.take("a", 1.0)
    assert not spacing.take("b", 1.0)


moments = st.integers(0, 200).map(lambda tenths: 45.0 + tenths / 10)
steps = st.lists(st.one_of(st.tuples(st.just("at"), moments), st.tuples(st.just("now"), moments)), max_size=60)


@given(st.sampled_from([0.25, 1.0, 3.0]), steps)
def test_every_timer_fires_once_never_early_and_at_most_a_tick_late(
    tick_s: float, steps: list[tuple[str, float]]
) -> None:
    now = 50.0
    wheel: TimerWheel[int] = TimerWheel(tick_s=tick_s, now=now)
    waiting: dict[int, float] = {}
    for number, (what, moment) in enumerate(steps):
        if what == "at":
            wheel.schedule(number, at=moment)
            # A time that is past is due at the next look.
            waiting[number] = max(moment, now)
            continue
        now = max(now, moment)
        for item in wheel.advance(now):
            assert waiting.pop(item) <= now
        assert [at for at in waiting.values() if at + tick_s <= now] == []


def test_timers_fire_in_the_order_of_their_ticks() -> None:
    wheel: TimerWheel[str] = TimerWheel(tick_s=1.0, now=0.0)
    for name, at in (("third", 5.5), ("first", 1.2), ("second", 3.0)):
        wheel.schedule(name, at=at)
    assert wheel.advance(60.0) == ["first", "second", "third"]
    assert wheel.advance(120.0) == []


@pytest.mark.parametrize("stalled_s", [0.0, 1.0, 30.0, 3_600.0])
def test_a_timer_set_while_others_fire_is_for_a_later_time_however_long_nobody_looked(stalled_s: float) -> None:
    wheel: TimerWheel[str] = TimerWheel(tick_s=1.0, now=0.0)
    wheel.schedule("due", at=0.5)
    now = 2.0 + stalled_s
    for item in wheel.advance(now):
        assert item == "due"
        wheel.schedule("past", at=1.0)
        wheel.schedule("far", at=now + 90.0)
    assert wheel.advance(now + 1.0) == ["past"]
    assert wheel.advance(now + 90.0) == []
    assert wheel.advance(now + 91.0) == ["far"]


def test_a_timer_may_be_set_before_anybody_looks_again() -> None:
    wheel: TimerWheel[str] = TimerWheel(tick_s=1.0, now=0.0)
    wheel.schedule("far", at=1_000.0)
    assert wheel.advance(1_000.0) == []
    assert wheel.advance(1_001.0) == ["far"]
