"""Scores of recorded series: 1.0 exactly where the live flow's alerts fire, whatever the file looks like."""

from __future__ import annotations

import numpy as np
import pytest

from operators import scoring
from operators.rules import DetectionSettings
from operators.scoring import RECORDED, NoRuleError, score_series
from operators.shard_core import ShardCore, shard_blocks
from sentinel.alerts import AlertState
from tests.operators.detection_samples import MONDAY, noisy, run

SHIPPED = DetectionSettings()


def sample(step=60.0, seed=1):
    values = noisy(3000, seed=seed)
    values[1500:1520] += 40
    values[2500:2506] -= 60
    values[2800] += 500
    return MONDAY + step * np.arange(3000.0), values


@pytest.mark.parametrize("block", [1, 700, 10_000])
def test_an_alert_of_the_whole_flow_is_a_score_of_one(block, monkeypatch):
    """Rows as events through windows, detectors and alert states: the same alerts in the same windows."""
    times, values = sample()
    rule = SHIPPED.rules["anything"]
    flow = SHIPPED.model_copy(update={"rules": {"anything": rule}, "vectors": {}, "lateness": 0.0})
    alerts, _ = run(ShardCore(flow), shard_blocks([(RECORDED, times, values)], block_rows=block))
    fired = [message.window.start for message in alerts if message.state is AlertState.FIRING]
    assert len(fired) >= 3
    scored = score_series(SHIPPED, times[:-1], values[:-1])  # the flow has not closed the last window
    assert times[:-1][scored.scores >= 1.0].tolist() == fired
    assert (scored.scores < 1.0).sum() == len(times) - 1 - len(fired)


def test_bad_rows_score_nothing_and_change_nothing():
    times, values = sample()
    expected = score_series(SHIPPED, times, values)
    at = [5, 1501, 1501, 2900]
    found = score_series(
        SHIPPED, np.insert(times, at, [times[5], np.nan, 7.0, np.inf]), np.insert(values, at, [np.nan, 1, np.inf, 2])
    )
    assert found.skipped == 4
    bad = np.insert(np.zeros(3000, bool), at, True)
    assert (found.scores[bad] == 0).all()
    np.testing.assert_array_equal(found.scores[~bad], expected.scores)


def test_rows_out_of_order_get_the_scores_of_their_times():
    times, values = sample()
    shuffled = np.random.default_rng(3).permutation(3000)
    found = score_series(SHIPPED, times[shuffled], values[shuffled])
    np.testing.assert_array_equal(found.scores, score_series(SHIPPED, times, values).scores[shuffled])


def test_equal_times_keep_their_order_and_every_alert_its_row():
    times, values = sample()
    times[2790:2810] = times[2790]
    found = score_series(SHIPPED, times, values)
    assert found.scores[2800] >= 1.0
    assert (found.scores >= 1.0).sum() == len(found.alerts)


def test_the_future_does_not_matter():
    times, values = sample()
    times[1000:] += 240.0 * np.arange(2000)  # five-minute rows from here on
    whole = score_series(SHIPPED, times, values)
    for end in (200, 1510, 2503, 2801):
        found = score_series(SHIPPED, times[:end], values[:end])
        np.testing.assert_array_equal(found.scores, whole.scores[:end])
        assert [alert.window for alert in found.alerts] == [alert.window for alert in whole.alerts][: len(found.alerts)]


@pytest.mark.parametrize("count", [0, 1, 2, 139])
def test_few_rows_or_none(count):
    times, values = sample()
    assert (score_series(SHIPPED, times[:count], values[:count]).scores == 0).all()
    assert (score_series(SHIPPED, np.full(count, np.nan), values[:count]).scores == 0).all()


def test_other_rules_are_scored_by_their_own_confirmation():
    own = DetectionSettings.model_validate(
        {"rules": {"all": {"detectors": ["zscore"], "unless": [], "warm_up": 0, "for": "2 of 3"}}, "vectors": {}}
    )
    times, values = sample()
    scores = score_series(own, times, values).scores
    assert np.flatnonzero(scores >= 1.0)[0] == 1501
    assert scores[1500] == scoring.BELOW


def test_a_configuration_without_a_rule_for_it_is_refused():
    with pytest.raises(NoRuleError):
        score_series(DetectionSettings(rules={}), *sample())
