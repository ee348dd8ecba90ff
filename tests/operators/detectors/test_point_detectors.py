"""Every detector of single series: equal to its plain reference for any cut, and what the contract promises of all."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.detectors.contract import Guard, Rows
from operators.detectors.registry import build, judge
from operators.detectors.settings import FusedSettings, IqrSettings, PointSettings, SeasonalSettings, ZScoreSettings
from sentinel.canonical import canonical_json
from tests.operators.detection_samples import (
    MONDAY,
    iqr_reference,
    minutes,
    noisy,
    seasonal_reference,
    zscore_reference,
)

HOUR = 3600.0
KINDS: dict[str, tuple[PointSettings, float, int]] = {
    "zscore": (ZScoreSettings(), 60.0, 240),
    "iqr": (IqrSettings(), 60.0, 240),
    "seasonal": (SeasonalSettings(), 900.0, 24 * 4 * 9),
    "fused": (FusedSettings(), 300.0, 600),
}
"""Settings, seconds between rows, and rows after which the detector is warm for sure."""


def make(kind, guard=None):
    own = KINDS[kind][0]
    detector = build(kind, own, 6 * HOUR)
    for slot in range(3):
        detector.assign(slot, guard or Guard())
    return detector


def rows(values, step=60.0, slot=0, start=MONDAY):
    values = np.asarray(values, float)
    return Rows(np.full(len(values), slot, np.int32), start + step * np.arange(len(values)), values)


def part(whole, first, last):
    return Rows(whole.slots[first:last], whole.times[first:last], whole.values[first:last])


def columns(scores):
    return np.stack([scores.score, scores.expected, scores.scale, scores.low, scores.high])


values_strategy = st.lists(st.floats(-1e3, 1e3), min_size=20, max_size=150)


@settings(max_examples=60, deadline=None)
@given(values_strategy, st.sampled_from([0.0, 5.0]))
def test_zscore_equals_its_reference_bit_for_bit(values, least):
    own = ZScoreSettings(window=16, min_windows=8)
    detector = build("z", own, HOUR)
    detector.assign(0, Guard(min_absolute=least))
    scores = detector.observe(rows(values))
    expected = zscore_reference(values, window=16, threshold=5.0, clip=3.0, floor=0.01, min_windows=8, least=least)
    for i, said in enumerate(expected):
        got = (scores.score[i], scores.expected[i], scores.scale[i])
        assert np.isnan(got[0]) if said is None else got == said


@settings(max_examples=60, deadline=None)
@given(values_strategy, st.sampled_from([0.0, 5.0]))
def test_iqr_equals_its_reference_bit_for_bit(values, least):
    detector = build("i", IqrSettings(window=16, min_windows=8), HOUR)
    detector.assign(0, Guard(min_absolute=least))
    scores = detector.observe(rows(values))
    expected = iqr_reference(values, window=16, factor=3.5, floor=0.01, min_windows=8, least=least)
    for i, said in enumerate(expected):
        got = (scores.score[i], scores.expected[i], scores.scale[i])
        assert np.isnan(got[0]) if said is None else got == said


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("step", [300.0, 900.0])
def test_seasonal_equals_its_reference_bit_for_bit(seed, step):
    count = int(9 * 86400 / step)
    values = (noisy(count, deviation=5, seed=seed) * np.where(np.arange(count) % 97 == 40, 9, 1)).tolist()
    whole = rows(values, step=step, start=MONDAY + 5 * HOUR)
    scores = make("seasonal").observe(whole)
    expected = seasonal_reference(whole.times.tolist(), values, factor=3.0, floor=0.02, memory=240, min_windows=4)
    for i, said in enumerate(expected):
        got = (scores.expected[i], scores.scale[i])
        assert np.isnan(got[0]) if said is None else got == said


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(1, 899), max_size=5), restart=st.integers(0, 5))
def test_any_cut_and_a_restart_give_the_same_scores(kind, seed, cuts, restart):
    rng = np.random.default_rng(seed)
    whole = rows(rng.standard_normal(900), step=KINDS[kind][1])
    whole = Rows(rng.integers(0, 3, 900).astype(np.int32), whole.times, whole.values)
    expected = columns(make(kind).observe(whole))
    edges = [0, *sorted(set(cuts)), 900]
    detector, got = make(kind), []
    for number, (first, last) in enumerate(pairwise(edges)):
        if number == restart:
            fresh = build(kind, KINDS[kind][0], 6 * HOUR)
            fresh.load(detector.dump())
            detector = fresh
        got.append(columns(detector.observe(part(whole, first, last))))
    np.testing.assert_array_equal(np.concatenate(got, axis=1), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_observe_is_score_then_learn_row_by_row(kind):
    _, step, count = KINDS[kind]
    whole = rows(noisy(count), step)
    expected = columns(make(kind).observe(whole))
    detector, got = make(kind), []
    for i in range(count):
        one = part(whole, i, i + 1)
        got.append(columns(detector.score(one)))
        detector.learn(one)
    np.testing.assert_array_equal(np.concatenate(got, axis=1), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_jump_is_found_and_explained_and_its_snapshot_judges_alike(kind):
    own, step, count = KINDS[kind]
    values = noisy(count)
    values[-1] = 160.0
    whole, detector = rows(values, step), make(kind)
    scores = detector.observe(whole, frozenset({count - 2, count - 1}))
    usual, jump = count - 2, count - 1
    assert scores.score[jump] > detector.threshold > scores.score[usual]
    assert scores.high[jump] < 160
    frozen = detector.snapshot(scores, jump)
    canonical_json(frozen)  # plain, without infinities
    time = float(whole.times[jump])
    assert not judge(own, frozen, time, 160.0)
    assert judge(own, frozen, time, 100.0)
    finding = detector.explain(whole, scores, jump)
    assert finding.high == scores.high[jump]
    assert "160" in finding.text


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_silent_while_warming_up(kind):
    scores = make(kind).observe(rows(np.r_[noisy(3), 1e6], KINDS[kind][1]))
    assert np.isnan(scores.score).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_series_has_finite_scores_and_a_change_is_found(kind):
    _, step, count = KINDS[kind]
    scores = make(kind).observe(rows(np.r_[np.zeros(count), 1.0], step))
    assert np.isfinite(scores.score[-1])
    assert scores.score[-1] > 5
    assert scores.score[-2] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_guard_widens_the_band_and_looks_one_way(kind):
    _, step, count = KINDS[kind]
    values = np.r_[noisy(count, deviation=0.1), 130.0]
    wide = make(kind, Guard(min_relative=0.5, down=False)).observe(rows(values, step))
    assert wide.score[-1] < make(kind).threshold
    assert wide.high[-1] >= 149
    assert wide.low[-1] == -np.inf


@pytest.mark.parametrize("kind", KINDS)
def test_one_outlier_hardly_moves_the_band(kind):
    _, step, count = KINDS[kind]
    values = noisy(count + 10)
    clean = make(kind).observe(rows(values, step))
    values[count] = 1e9
    poisoned = make(kind).observe(rows(values, step))
    assert poisoned.high[-1] < clean.high[-1] + 10


def test_a_lasting_new_level_becomes_usual():
    values = np.r_[noisy(120), noisy(400, level=150, seed=2)]
    for kind in ("zscore", "iqr"):
        scores = make(kind).observe(rows(values))
        assert scores.low[-1] < 150 < scores.high[-1]


def test_slots_are_independent_and_start_anew():
    detector = make("zscore")
    detector.observe(rows(noisy(100), slot=0))
    assert not np.isnan(detector.score(rows([1.0], slot=0)).score[0])
    assert np.isnan(detector.score(rows([1.0], slot=1)).score[0])
    detector.assign(0, Guard())
    assert np.isnan(detector.score(rows([1.0], slot=0)).score[0])
    detector.release(0)
    detector.release(0)


def test_many_slots_grow_the_bank():
    detector = build("z", ZScoreSettings(), HOUR)
    for slot in range(500):
        detector.assign(slot, Guard())
    for minute in range(100):
        level = np.asarray(np.arange(500) * 10.0 + minute % 3, np.float64)
        detector.observe(Rows(np.arange(500, dtype=np.int32), np.full(500, MONDAY + minute * 60.0), level))
    expected = detector.score(Rows(np.arange(500, dtype=np.int32), minutes(500), noisy(500))).expected
    assert np.abs(expected - np.arange(500) * 10.0 - 1).max() < 0.5, "each slot has its own history"


def test_the_season_knows_monday_at_nine_after_one_week_only():
    """Traffic that doubles each Monday at 09:00: news in the first week, usual in the second."""
    times = minutes(15 * 1440)
    monday_nine = ((times // 3600) % 168 == ((MONDAY + 9 * HOUR) // 3600) % 168).astype(float)
    values = noisy(len(times)) * (1 + monday_nine)
    detector = make("seasonal")
    scores = detector.observe(Rows(np.zeros(len(times), np.int32), times, values), frozenset({14 * 1440 + 600}))
    first, second = 9 * 60 + 30, 7 * 1440 + 9 * 60 + 30
    assert np.isnan(scores.score[first])
    assert scores.low[second] < 200 < scores.high[second]
    assert not scores.low[second] < 100 < scores.high[second]  # traffic that does not come is news now
    frozen = detector.snapshot(scores, 14 * 1440 + 600)  # frozen on Monday at 10:00, judged an hour later
    assert judge(SeasonalSettings(), frozen, MONDAY + 14 * 86400 + 11 * HOUR, 100.0)
    assert not judge(SeasonalSettings(), frozen, MONDAY + 14 * 86400 + 11 * HOUR, 200.0)
    assert not judge(SeasonalSettings(), frozen, MONDAY + 15 * 86400, 100.0)  # beyond what was frozen


def test_an_hour_without_a_baseline_is_frozen_as_an_empty_band():
    detector = make("seasonal")
    times = np.r_[MONDAY + 60 * np.arange(60), MONDAY + 86400 + 60 * np.arange(30)]  # one hour a day only
    scores = detector.observe(Rows(np.zeros(90, np.int32), times, noisy(90)), frozenset({89}))
    frozen = detector.snapshot(scores, 89)
    assert judge(SeasonalSettings(), frozen, MONDAY + 86400 + 1800, 100.0)
    assert not judge(SeasonalSettings(), frozen, MONDAY + 86400 + 3 * HOUR, 100.0)
