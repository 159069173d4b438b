"""The arithmetic of the figures."""

from typing import Any

import pytest

from bench.report import Report, Spread, percentile, spread

MS = 1_000_000


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (0.999, 100), (1.0, 100), (0.01, 1), (0.0, 1)])
def test_a_percentile_is_a_value_that_occurred(share: float, expected: int) -> None:
    assert percentile(range(1, 101), share) == expected


def test_a_percentile_of_few_values_is_not_better_than_its_rank() -> None:
    assert percentile([10, 20, 30], 0.5) == 20
    assert percentile([10, 20, 30], 0.99) == 30
    assert percentile([10], 0.5) == 10


def test_a_percentile_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError):
        percentile([], 0.5)


def test_a_spread_is_in_milliseconds_and_of_any_order() -> None:
    values = [n * MS for n in range(1000, 0, -1)]
    assert spread(values) == Spread(p50=500.0, p99=990.0, p99_9=999.0, max=1000.0)
    assert spread([]) is None


@pytest.mark.parametrize("fault", ["lost", "duplicates", "out_of_order"])
def test_one_fault_makes_a_run_unclean(fault: str) -> None:
    good: dict[str, Any] = dict.fromkeys(Report.__struct_fields__, 0)
    assert Report(**good).is_clean
    assert not Report(**{**good, fault: 1}).is_clean
