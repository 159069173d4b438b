"""Too many messages in one chain within ten seconds of the log's time are noticed: once, then not for a minute."""

import pytest

from messaging.domain.heat import PAUSE_S, WINDOW_S, Heat, hotter
from messaging.domain.ids import MAX_HOT_K, ConversationId, MessageId, message_id_at

#: The beginning of a window.
BEGIN_S = 1_800_000_000
TALK, OTHER = ConversationId(7), ConversationId(8)


def at(seconds: float, *, sub: int = 0, offset: int = 0) -> MessageId:
    return message_id_at(ts_ms=int((BEGIN_S + seconds) * 1000), sub=sub, offset=offset)


def noticed(heat: Heat, count: int, *, begin: float, seconds: float, sub: int = 0) -> list[int]:
    """Return which of ``count`` messages, evenly over a time, were one too many."""
    return [n for n in range(count) if heat.note(TALK, at(begin + seconds * n / count, sub=sub, offset=n))]


def test_a_rate_over_the_limit_is_noticed_with_the_first_message_over_it() -> None:
    assert noticed(Heat(per_s=10), 10 * WINDOW_S, begin=0, seconds=WINDOW_S) == []
    assert noticed(Heat(per_s=10), 20 * WINDOW_S, begin=0, seconds=WINDOW_S) == [10 * WINDOW_S]


def test_for_a_minute_it_is_not_noticed_again() -> None:
    heat = Heat(per_s=10)
    found = noticed(heat, 40 * WINDOW_S * 9, begin=0, seconds=WINDOW_S * 9)
    times = [n / 40 for n in found]
    assert times[0] == WINDOW_S / 4
    assert times[1] - times[0] >= PAUSE_S
    assert len(times) == 2


def test_chains_and_conversations_are_counted_each_by_itself() -> None:
    heat = Heat(per_s=1)
    for n in range(WINDOW_S):
        assert not heat.note(TALK, at(n / 2, sub=0, offset=n))
        assert not heat.note(TALK, at(n / 2, sub=3, offset=n))
        assert not heat.note(OTHER, at(n / 2, sub=0, offset=n))
    assert heat.note(TALK, at(9, sub=3, offset=99))


def test_a_backlog_is_as_hot_as_it_was_when_it_was_written() -> None:
    # However fast it is read: what counts is the log's time. Behind, and then ahead again, as of two partitions.
    heat = Heat(per_s=10)
    assert noticed(heat, 5 * 60, begin=0, seconds=60, sub=1) == []
    assert noticed(heat, 5 * 60, begin=-600, seconds=60, sub=2) == []


def test_what_it_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("messaging.domain.heat._CAPACITY", 3)
    heat = Heat(per_s=1)
    for n in range(50):
        assert not heat.note(ConversationId(n + 1), at(n / 10))
        assert len(heat._counts) <= 3
    assert not heat._pauses


def test_without_a_limit_nothing_is_hot() -> None:
    assert noticed(Heat(per_s=0), 5_000, begin=0, seconds=1) == []


@pytest.mark.parametrize(
    ("hot_k", "sub", "expected"),
    [
        (1, 0, 8),
        # What is still written by gateways that do not know yet.
        (8, 0, 8),
        (8, 3, 16),
        (16, 3, MAX_HOT_K),
        (MAX_HOT_K, 3, MAX_HOT_K),
    ],
)
def test_it_is_spread_first_and_then_over_twice_as_many(hot_k: int, sub: int, expected: int) -> None:
    assert hotter(hot_k, sub=sub, first_k=8) == expected
