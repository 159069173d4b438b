"""The capacity arithmetic gives the figures of the design for its own assumptions."""

from dataclasses import replace

import pytest

from chatproject.env import VARIABLES
from messaging.domain.capacity import KIB, TB, Demand, size

PB = 1000 * TB


def test_the_design_in_figures() -> None:
    sizing = size(Demand())
    assert sizing.gateway_pods == 200
    assert sizing.router_pods == 50
    assert sizing.mean_messages == pytest.approx(580_000, rel=0.01)
    assert sizing.peak_messages == pytest.approx(1_700_000, rel=0.03)
    assert sizing.mean_deliveries == pytest.approx(700_000, rel=0.01)
    assert sizing.mean_pushes == pytest.approx(175_000, rel=0.01)
    assert sizing.pod_memory == 50_000 * 10 * KIB
    assert sizing.bytes_per_day == 25 * TB
    assert sizing.bytes_per_year == pytest.approx(9 * PB, rel=0.02)
    assert sizing.bytes_kept == pytest.approx(63 * PB, rel=0.02)
    assert sizing.monthly_total == pytest.approx(143_000, rel=0.01)


def test_redis_is_counted_as_it_is_set_up() -> None:
    [cache] = [variable for variable in VARIABLES if variable.name == "CHAT_DEDUPE_CACHE_S"]
    assert Demand().dedupe_minutes * 60 == int(cache.default)


def test_pods_are_whole_and_brokers_are_at_least_the_replicas() -> None:
    sizing = size(Demand(connections=50_001, messages_per_day=1))
    assert sizing.gateway_pods == 2
    assert (sizing.router_pods, sizing.partitions, sizing.brokers) == (1, 1, 3)


def test_what_is_hot_longer_than_a_year_is_never_cold() -> None:
    assert size(Demand(hot_days=400)).cold_bytes == 0


@pytest.mark.parametrize(
    "change", [{"connections_per_pod": 0}, {"replicas": 0}, {"messages_per_day": -1}, {"fan_out": -0.1}]
)
def test_impossible_figures_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        size(replace(Demand(), **change))  # type: ignore[arg-type]
