"""Half-space trees: River's scores, judged again from a snapshot without River, over restarts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from operators.detectors.contract import Rows
from operators.detectors.half_space_trees import HalfSpaceTrees
from operators.detectors.registry import judge
from operators.detectors.settings import HalfSpaceTreesSettings
from operators.detectors.tree_snapshot import Component, judge_vector
from sentinel.canonical import canonical_json

SMALL = HalfSpaceTreesSettings(trees=10, height=5, window=50, centre=12)
NAMES = ("cpu_ratio", "error_ratio", "latency_p95_seconds")


def feed(trees, count, seed=1, start=0):
    """Feed vectors of three metrics; returns (vector, score) of each."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(start, start + count):
        values = 100 + rng.standard_normal(3)
        out.append(step(trees, i, values))
    return out


def step(trees, i, values):
    at = np.full(3, 900.0 * i)
    means, scales = trees.place(Rows(np.array([1, 2, 3], np.int32), at, np.asarray(values, float)))
    vector = {
        n: Component(float(v), float(m), float(s)) for n, v, m, s in zip(NAMES, values, means, scales, strict=True)
    }
    return vector, trees.observe(0, vector)


def fresh():
    trees = HalfSpaceTrees("trees", SMALL)
    trees.assign(0)
    for slot in (1, 2, 3):
        trees.assign_component(slot)
    return trees


def test_silent_while_warming_up_then_an_odd_vector_stands_out():
    trees = fresh()
    seen = feed(trees, 400)
    assert all(math.isnan(score.score) for _, score in seen[:150])
    assert sum(score.unusual for _, score in seen) <= 6
    vector, score = step(trees, 400, (100.0, 140.0, 60.0))
    assert score.unusual
    finding = trees.explain(0, vector, score)
    assert "error_ratio 140" in finding.text
    assert "latency_p95_seconds 60" in finding.text


def test_a_snapshot_gives_rivers_scores_without_river():
    trees = fresh()
    feed(trees, 400)
    vector, _ = step(trees, 400, (100.0, 140.0, 60.0))
    scored = trees.score(0, vector)
    frozen = trees.snapshot(0, vector, scored)
    canonical_json(frozen)
    for seed in range(20):
        values = 100 + 10 * np.random.default_rng(seed).standard_normal(3)
        other = {n: Component(float(v), vector[n].mean, vector[n].scale) for n, v in zip(NAMES, values, strict=True)}
        expected = trees.score(0, other).score
        assert judge_vector(frozen, {n: c.value for n, c in other.items()}) == pytest.approx(expected, abs=1e-12)
        del other["cpu_ratio"]
        expected = trees.score(0, other).score
        assert judge_vector(frozen, {n: c.value for n, c in other.items()}) == pytest.approx(expected, abs=1e-12)
    assert judge(SMALL, frozen, 0.0, scored.threshold)
    assert not judge(SMALL, frozen, 0.0, scored.threshold + 0.01)


@pytest.mark.parametrize("after", [5, 60, 300])
def test_a_restart_changes_no_score(after):
    straight, first = fresh(), fresh()
    feed(straight, after)
    feed(first, after)
    second = fresh()
    second.load(first.dump())
    for (_, one), (_, other) in zip(
        feed(straight, 100, seed=9, start=after), feed(second, 100, seed=9, start=after), strict=True
    ):
        assert (one.score == other.score) or (math.isnan(one.score) and math.isnan(other.score))
        assert one.threshold == other.threshold or math.isnan(one.threshold)


def test_a_new_metric_is_left_out_and_a_released_service_forgotten():
    trees = fresh()
    feed(trees, 300)
    vector, _ = step(trees, 300, (100.0, 100.0, 100.0))
    more = {**vector, "new": Component(1.0, 0.0, 1.0)}
    assert trees.score(0, more) == trees.score(0, vector)
    trees.release(0)
    with pytest.raises(KeyError):
        trees.score(0, vector)
