"""The detection core as a whole: faults are found, healthy weeks are quiet, and neither cuts nor restarts matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.rules import DetectionSettings
from operators.shard_core import ShardCore, shard_blocks
from sentinel.alerts import AlertState, Resolution
from tests.operators.detection_samples import MONDAY, cut, minutes, noisy, one_rule, run, series

DAY = 1440


def firing(alerts):
    return [message for message in alerts if message.state is AlertState.FIRING]


def with_fault(values, start, length, value):
    values = values.copy()
    values[start : start + length] = value
    return values


def small_world(seed=1):
    """Two services, three metrics, six hours of minutes, some faults and a hole; every detector warm early."""
    rng = np.random.default_rng(seed)
    times = minutes(360)
    recorded = []
    for service in ("cart", "web"):
        for name in ("error_ratio", "latency_p95_seconds", "memory_ratio"):
            values = 1 + 0.02 * rng.standard_normal(360)
            values[200:230] += rng.choice([0.0, 1.0])
            keep = np.ones(360, bool)
            keep[210 : 210 + int(rng.integers(0, 40))] = False
            recorded.append((series(name, service), times[keep], values[keep]))
    return list(shard_blocks(recorded))


QUICK = DetectionSettings.model_validate(
    {
        "detectors": {
            "zscore": {"kind": "zscore", "window": 20, "min_windows": 10},
            "iqr": {"kind": "iqr", "window": 20, "min_windows": 10},
            "half_space_trees": {
                "kind": "half_space_trees",
                "trees": 3,
                "height": 3,
                "window": 20,
                "centre": 8,
                "quantile": 0.6,
            },
        },
        "rules": {"all": {"warm_up": 0, "clear_for": 2, "stale_after": 4}},
        "vectors": {"both": {"window": 120, "warm_up": 0, "for": "1 of 1"}},
    }
)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 50), cuts=st.lists(st.integers(1, 2159), max_size=12), at=st.integers(0, 12))
def test_cuts_and_restarts_change_no_alert_and_no_decision(seed, cuts, at):
    blocks = small_world(seed)
    expected = run(ShardCore(QUICK), cut(blocks, []))
    parts = cut(blocks, cuts)
    at = min(at, len(parts))
    first, second = ShardCore(QUICK), ShardCore(QUICK)
    one = run(first, parts[:at])
    second.restore(first.snapshot())
    two = run(second, parts[at:])
    by_message = lambda message: message.message_id
    assert sorted(one[0] + two[0], key=by_message) == sorted(expected[0], key=by_message)
    by_decision = lambda row: row.decision_id
    assert sorted(one[1] + two[1], key=by_decision) == sorted(expected[1], key=by_decision)


def test_the_small_world_is_not_empty():
    alerts, decisions = run(ShardCore(QUICK), small_world(3))
    assert {message.rule for message in firing(alerts)} == {"all", "both"}
    assert decisions


def healthy(days, start=MONDAY):
    """One service with a daily and weekly pattern and the surge of Monday 09:00."""
    times = minutes(days * DAY, start)
    hour = times / 3600 % 24
    monday = (times // 86400 + 3) % 7 == 0
    shape = 1 + 0.4 * np.sin((hour - 9) / 24 * 2 * np.pi)
    surge = 1 + monday * ((hour >= 9) & (hour < 10))
    noise = np.random.default_rng(5).standard_normal((5, len(times)))
    return times, {
        "requests_per_second": 200 * shape * surge * (1 + 0.03 * noise[0]),
        "error_ratio": 0.005 * np.exp(0.2 * noise[1]),
        "latency_p95_seconds": 0.1 * (1 + 0.3 * shape) * np.exp(0.05 * noise[2]),
        "cpu_ratio": 0.1 + 0.2 * shape * (1 + 0.25 * (surge - 1)) + 0.01 * noise[3],
        "memory_ratio": 0.5 + 0.004 * noise[4],
    }


def recorded(times, metrics):
    return [(series(name), times, values) for name, values in metrics.items()]


@pytest.fixture(scope="module")
def fortnight():
    """A core that saw two healthy weeks with the shipped rules, as a snapshot, and what it said."""
    times, metrics = healthy(15)
    core = ShardCore(DetectionSettings())
    alerts, decisions = run(
        core, shard_blocks(recorded(times[: 14 * DAY], {k: v[: 14 * DAY] for k, v in metrics.items()}))
    )
    return core.snapshot(), alerts, decisions, times[14 * DAY :], {k: v[14 * DAY :] for k, v in metrics.items()}


def next_day(fortnight, **faults):
    """The day after the fortnight (a Monday) with faults put in; returns what is said."""
    state, _, _, times, metrics = fortnight
    core = ShardCore(DetectionSettings())
    core.restore(state)
    return run(core, shard_blocks(recorded(times, {**metrics, **faults})))


def test_two_healthy_weeks_raise_no_alert(fortnight):
    assert fortnight[1] == []


def test_the_usual_monday_surge_raises_no_alert_and_says_why(fortnight):
    alerts, decisions = next_day(fortnight)
    assert alerts == []
    why = [row for row in decisions if row.details["rule"] == "traffic" and row.verdict == "not_confirmed"]
    assert why
    assert all("matches the seasonal baseline: expected" in row.reason and "Monday 09:00" in row.reason for row in why)


@pytest.mark.parametrize(
    ("name", "fault", "kind", "within"),
    [
        ("error_ratio", lambda v: np.where(_between(v, 900, 930), 0.15, v), "errors", 3),
        ("latency_p95_seconds", lambda v: np.where(_between(v, 900, 930), 3 * v, v), "latency", 3),
        ("memory_ratio", lambda v: v + np.clip((np.arange(len(v)) - 900) / 30, 0, 1) * 0.45, "saturation", 8),
        ("cpu_ratio", lambda v: np.where(_between(v, 900, 930), 0.92, v), "saturation", 3),
        ("requests_per_second", lambda v: np.where(_between(v, 900, 930), 0.2 * v, v), "traffic", 4),
    ],
)
def test_a_fault_is_found_within_a_few_windows(fortnight, name, fault, kind, within):
    alerts, _ = next_day(fortnight, **{name: fault(fortnight[4][name])})
    (first,) = firing(alerts)
    start = fortnight[3][900]
    assert first.kind == kind
    assert start <= first.onset_at
    assert first.fired_at <= start + within * 60
    if name != "memory_ratio":
        assert alerts[-1].resolution is Resolution.RECOVERED
        assert alerts[-1].window.end == start + 34 * 60


def _between(values, first, last):
    at = np.arange(len(values))
    return (at >= first) & (at < last)


def test_the_same_fault_two_hours_later_is_found_again(fortnight):
    errors = fortnight[4]["error_ratio"]
    twice = np.where(_between(errors, 600, 620) | _between(errors, 740, 760), 0.15, errors)
    alerts, _ = next_day(fortnight, error_ratio=twice)
    assert [round((m.fired_at - fortnight[3][0]) / 60) for m in firing(alerts)] == [602, 742]


def test_a_changed_rule_starts_its_series_anew_and_ends_its_alert():
    times = minutes(120)
    values = with_fault(noisy(120), 100, 20, 300.0)
    blocks = cut(list(shard_blocks([(series(), times, values)])), [110])
    before, changed = ShardCore(one_rule()), ShardCore(one_rule(**{"for": "1 of 1"}))
    assert len(firing(run(before, blocks[:1])[0])) == 1
    changed.restore(before.snapshot())
    alerts, _ = run(changed, blocks[1:])
    assert [message.resolution for message in alerts] == [Resolution.SUPPRESSED]


def test_an_added_rule_leaves_the_others_state_alone():
    times = minutes(120)
    blocks = cut(list(shard_blocks([(series(), times, with_fault(noisy(120), 100, 20, 300.0))])), [90])
    given = one_rule().model_dump(by_alias=True)
    given["rules"] = {"other": {"match": {"names": ["other"]}}, **given["rules"]}
    before, after = ShardCore(one_rule()), ShardCore(DetectionSettings.model_validate(given))
    run(before, blocks[:1])
    after.restore(before.snapshot())
    assert len(firing(run(after, blocks[1:])[0])) == 1


def test_a_value_outside_the_data_range_is_a_candidate_from_the_first_window():
    alerts, _ = run(ShardCore(one_rule(range=[0, 1], warm_up=86400)), shard_blocks([(series(), minutes(5), [2.0] * 5)]))
    assert "outside the data range 0 to 1" in firing(alerts)[0].reason


def test_warming_up_holds_an_alert_back_and_says_so():
    times, values = minutes(120), with_fault(noisy(120), 100, 20, 300.0)
    alerts, decisions = run(ShardCore(one_rule(warm_up=86400)), shard_blocks([(series(), times, values)]))
    assert alerts == []
    assert decisions[0].reason.startswith("warming up: 1.7 of 24.0 hours")
