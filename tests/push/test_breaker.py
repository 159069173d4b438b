"""When a provider is not asked: after outages in a row, and while it wants a pause."""

from push.breaker import Breaker


def test_it_opens_after_outages_in_a_row_only() -> None:
    breaker = Breaker(failures=3, first_s=5)
    for _ in range(2):
        breaker.failed(0)
    breaker.succeeded()
    for _ in range(2):
        breaker.failed(0)
    assert breaker.wait_s(0) == 0
    breaker.failed(0)
    assert breaker.is_open
    assert breaker.wait_s(1) == 4


def test_then_one_tries_and_the_others_wait_for_it() -> None:
    breaker = Breaker(failures=1, first_s=5)
    breaker.failed(0)
    assert breaker.wait_s(5) == 0
    assert breaker.wait_s(5) > 0
    breaker.succeeded()
    assert not breaker.is_open
    assert [breaker.wait_s(5) for _ in range(3)] == [0, 0, 0]


def test_a_try_that_fails_doubles_the_pause_up_to_the_longest() -> None:
    breaker = Breaker(failures=1, first_s=5, longest_s=18)
    now, pauses = 0.0, []
    breaker.failed(now)
    for _ in range(4):
        pauses.append(breaker.wait_s(now))
        now += pauses[-1]
        assert breaker.wait_s(now) == 0
        breaker.failed(now)
    assert pauses == [5, 10, 18, 18]
    now += 18
    assert breaker.wait_s(now) == 0
    breaker.succeeded()
    breaker.failed(now)
    assert breaker.wait_s(now) == 5, "and begins anew"


def test_a_pause_is_kept_within_reason() -> None:
    breaker = Breaker(longest_s=60)
    breaker.pause(40, 100)
    assert breaker.wait_s(100) == 40
    breaker.pause(5, 100)
    assert breaker.wait_s(110) == 30
    assert breaker.wait_s(140) == 0
    breaker.pause(1e9, 140)
    assert breaker.wait_s(140) == 300
