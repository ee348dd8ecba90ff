"""The fused detector: equal to its plain reference, silent where it must be, and it says a thing once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.detectors.contract import Guard, Rows
from operators.detectors.fused import Fused, FusedScores
from operators.detectors.fused_emission import LASTING
from operators.detectors.registry import judge
from operators.detectors.settings import FusedSettings
from tests.operators.detection_samples import MONDAY, noisy
from tests.operators.fused_reference import FusedReference

DAY = 86400.0
SETTINGS = FusedSettings()


def detector(guard=None, own=SETTINGS, slots=1):
    made = Fused("fused", own)
    for slot in range(slots):
        made.assign(slot, guard or Guard())
    return made


def rows(values, step=300.0, start=MONDAY):
    values = np.asarray(values, float)
    return Rows(np.zeros(len(values), np.int32), start + step * np.arange(len(values)), values)


def observe(values, step=300.0, guard=None, own=SETTINGS) -> FusedScores:
    scores = detector(guard, own).observe(rows(values, step))
    assert isinstance(scores, FusedScores)
    return scores


def daily(days, step, seed=1, noise=2.0):
    count = int(days * DAY / step)
    return noisy(count, deviation=noise, seed=seed) + 30 * np.sin(np.arange(count) * step / DAY * 2 * np.pi)


def alerts(scores):
    return np.flatnonzero(scores.score >= 1.0)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    step=st.sampled_from([1.0, 60.0, 61.5, 300.0, 3600.0]),
    gap=st.floats(0, 3e5),
    scale=st.sampled_from([1e-3, 1.0, 1e6]),
)
def test_the_kernels_agree_with_the_plain_reference(seed, step, gap, scale):
    rng = np.random.default_rng(seed)
    values = scale * (10 + rng.standard_normal(500) + 5 * (rng.random(500) < 0.01) * rng.standard_normal(500) * 3)
    values[350] *= 1e5
    values[400:410] += 20 * scale
    times = MONDAY + step * np.arange(500.0)
    times[300:] += gap
    times[200] = times[199]
    reference = FusedReference(SETTINGS)
    expected = [reference.update(t, x) for t, x in zip(times.tolist(), values.tolist(), strict=True)]
    got = detector().observe(Rows(np.zeros(500, np.int32), times, values)).score
    for said, wanted in zip(got.tolist(), expected, strict=True):
        assert math.isnan(said) if wanted is None else said == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    assert np.nanmax(got) > 0.5


@pytest.mark.parametrize("step", [60.0, 300.0, 3600.0])
def test_a_jump_that_lasts_is_one_alert_in_four_hours_at_every_step(step):
    values = daily(30 if step == 3600 else 6, step)
    at = len(values) - int(4 * max(step, 360) / step)
    values[at:] += 60
    found = alerts(observe(values, step))
    assert len(found[found < at]) <= 1
    first = found[found >= at]
    assert len(first) == 1
    assert (first[0] - at) * step <= max(2 * step, 300)


def test_one_odd_minute_counts_less_and_one_odd_hour_in_full():
    def raised(step, persistence=SETTINGS.persistence):
        values = daily(20 if step == 3600 else 6, step)
        values[-10] += 10
        scores = observe(values, step, own=SETTINGS.model_copy(update={"persistence": persistence}))
        return scores.emission[-10, LASTING]

    assert raised(60.0) == pytest.approx(raised(60.0, persistence=0.0) / 3.0)
    assert raised(3600.0) == raised(3600.0, persistence=0.0)


@pytest.mark.parametrize("level", [0.0, 1e-9, 5.0, -1e12])
def test_a_constant_series_is_silent_and_a_change_of_it_an_alert(level):
    scores = observe(np.r_[np.full(600, level), level + max(abs(level), 1e-6)])
    assert (scores.score[140:600] == 0).all()
    assert scores.score[600] >= 1.0


def test_it_is_silent_while_warming_up_whatever_comes():
    scores = observe(np.r_[noisy(139), 1e12])
    assert np.isnan(scores.score).all()


def test_values_that_are_not_finite_leave_no_trace():
    values = daily(3, 300.0)
    holes = np.insert(values, [200, 500, 500], [np.nan, np.inf, -np.inf])
    times = rows(values).times
    whole = Rows(np.zeros(len(holes), np.int32), np.insert(times, [200, 500, 500], times[[200, 500, 500]]), holes)
    scores = detector().observe(whole).score
    bad = ~np.isfinite(holes)
    assert np.isnan(scores[bad]).all()
    np.testing.assert_array_equal(scores[~bad], observe(values).score)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 100), factor=st.sampled_from([1e-5, 0.1, 3.7, 1e6]))
def test_the_unit_does_not_matter(seed, factor):
    values = daily(4, 300.0, seed)
    values[-20] += 50
    one, other = observe(values).score, observe(values * factor).score
    np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)


def test_a_new_level_is_accepted():
    values = np.r_[daily(7, 300.0), daily(10, 300.0, seed=2) + 60]
    found = alerts(observe(values))
    jump = 7 * 288
    assert len(found[(found >= jump) & (found < jump + 288)]) >= 1
    assert len(found[found >= jump + 5 * 288]) <= 2


def test_a_gap_of_a_week_is_no_reason_to_alert():
    values = daily(10, 300.0)
    times = rows(values).times
    times[5 * 288 :] += 7 * DAY
    found = alerts(detector().observe(Rows(np.zeros(len(values), np.int32), times, values)))
    assert len(found[found >= 5 * 288]) <= 1


def test_the_second_time_it_must_be_clearly_worse():
    values = daily(8, 300.0)
    values[2000] += 60
    values[2010] += 60
    values[2020] += 2000
    found = alerts(observe(values, own=SETTINGS.model_copy(update={"gain": 3.0})))
    assert 2000 in found
    assert 2010 not in found
    later = daily(8, 300.0)
    later[2000] += 60
    later[2100] += 70  # the refractory time of four hours is over
    assert {2000, 2100} <= set(alerts(observe(later)).tolist())


def test_a_series_over_its_budget_has_a_higher_bar():
    values = daily(12, 300.0)
    values[1000::100] += 60
    count = {
        budget: len(alerts(observe(values, guard=Guard(budget=budget), own=SETTINGS.model_copy(update={"penalty": 1.0}))))
        for budget in (0.5, 1000.0)
    }  # fmt: skip
    assert count[0.5] < count[1000.0]


def test_the_guard_looks_one_way_and_asks_for_a_distance():
    values = daily(6, 300.0)
    values[-10] -= 60
    assert len(alerts(observe(values)))
    assert not len(alerts(observe(values, guard=Guard(down=False))))
    assert not len(alerts(observe(values, guard=Guard(min_absolute=200.0))))
    assert not len(alerts(observe(values, guard=Guard(min_relative=3.0))))


def test_one_absurd_value_blinds_nothing():
    values = daily(8, 300.0)
    clean = observe(values).expected
    values[1000] = 1e9
    assert np.abs(observe(values).expected[1001:] - clean[1001:]).max() < 50
    for later in (1288, 1500, 2000):  # the same half hour of the next day, the same day, two days later
        changed = values.copy()
        changed[later] += 60
        assert later in alerts(observe(changed)), later


def test_what_it_says_and_what_it_freezes():
    values = daily(6, 300.0)
    values[-1] += 80
    whole, own = rows(values), detector()
    scores = own.observe(whole)
    last = len(values) - 1
    finding = own.explain(whole, scores, last)
    assert finding.threshold == 1.0
    assert finding.score >= 1.0
    assert "season" in finding.text
    assert "new for this series: value" in finding.text
    frozen = own.snapshot(scores, last)
    assert judge(SETTINGS, frozen, 0.0, values[-1] - 80, 0.7)
    assert not judge(SETTINGS, frozen, 0.0, values[-1], 1.0)
    assert not judge(SETTINGS, frozen, 0.0, values[-1] - 10, 0.7)


def test_the_state_of_a_series_is_small():
    own = detector(slots=16)
    held = sum(array.nbytes for array in own.dump()["columns"].values()) / 16
    assert held <= 4096
