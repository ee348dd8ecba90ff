"""Healthy measurements: repeatable, shaped by day and week, with the surge each Monday."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from sentinel.fleet.patterns import CPU, ERRORS, LATENCY, MEMORY, METRICS, REQUESTS, Patterns, depths
from sentinel.fleet.settings import FleetSettings
from tests.fleet.shop import CATALOGUE

PATTERNS = Patterns(CATALOGUE, FleetSettings())


def at(day: int, hour: int, minute: int = 0) -> int:
    return int(datetime(2026, 11, day, hour, minute, tzinfo=UTC).timestamp())


def test_the_same_seed_gives_the_same_values_in_any_order_of_asking() -> None:
    again = Patterns(CATALOGUE, FleetSettings())
    day = PATTERNS.block(at(10, 0), 1440)
    again.block(at(14, 0), 1)
    assert np.array_equal(again.block(at(10, 6, 30), 1)[0], day[390])
    other = Patterns(CATALOGUE, FleetSettings(seed=8)).block(at(10, 0), 1440)
    assert not np.array_equal(other, day)


def test_a_block_has_one_value_per_minute_service_and_metric_and_all_are_possible() -> None:
    block = PATTERNS.block(at(9, 0), 1440)
    assert block.shape == (1440, len(CATALOGUE.services), len(METRICS))
    assert np.isfinite(block).all()
    assert (block > 0).all()
    assert block[..., (ERRORS, CPU, MEMORY)].max() < 0.9
    assert 0.001 < block[..., ERRORS].mean() < 0.01


def test_a_block_must_lie_on_minutes_of_one_day() -> None:
    with pytest.raises(ValueError, match="one UTC day"):
        PATTERNS.block(at(10, 23, 59), 2)
    with pytest.raises(ValueError, match="lie on minutes"):
        PATTERNS.block(at(10, 12) + 1, 1)


def test_traffic_is_higher_by_day_than_by_night_and_on_weekdays_than_on_sunday() -> None:
    requests = {day: PATTERNS.block(at(day, 0), 1440)[..., REQUESTS] for day in (11, 15)}
    assert requests[11][14 * 60 : 16 * 60].mean() > 2 * requests[11][2 * 60 : 4 * 60].mean()
    assert requests[11].mean() > 1.2 * requests[15].mean()


@pytest.mark.parametrize("monday", [2, 9, 16])
def test_every_monday_at_nine_the_services_near_the_entry_get_twice_the_requests(monday: int) -> None:
    reached = {name for name, depth in depths(CATALOGUE).items() if depth <= 2}
    assert {"web", "api-gateway", "cart"} <= reached
    assert "orders-db" not in reached
    for row, name in enumerate(PATTERNS.services):
        before, during, after, tuesday = (
            PATTERNS.block(start, 20)[:, row].mean(axis=0)
            for start in (at(monday, 8, 35), at(monday, 9, 10), at(monday, 10), at(monday + 1, 9, 10))
        )
        growth = during[REQUESTS] / tuesday[REQUESTS]
        assert growth == pytest.approx(2 if name in reached else 1, abs=0.15), name
        assert before[REQUESTS] < 1.1 * tuesday[REQUESTS]
        assert after[REQUESTS] < 1.2 * tuesday[REQUESTS]
        if name in reached:
            assert 1.02 * tuesday[CPU] < during[CPU] < 1.5 * tuesday[CPU]
            assert tuesday[LATENCY] < during[LATENCY] < 1.5 * tuesday[LATENCY]


def test_planned_deploys_are_repeatable_and_as_many_as_asked_for() -> None:
    first_day = at(1, 0) // 86_400
    plans = [PATTERNS.deploys(day, 0.5) for day in range(first_day, first_day + 400)]
    assert plans == [PATTERNS.deploys(day, 0.5) for day in range(first_day, first_day + 400)]
    assert 150 < sum(map(len, plans)) < 250
    assert all(10 * 3600 <= when % 86_400 < 16 * 3600 for plan in plans for when, _ in plan)
    assert PATTERNS.deploys(first_day, 0) == []
