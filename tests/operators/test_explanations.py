"""Explanations: the same answer as the live flow gave, for windows that alerted and windows that did not."""

from __future__ import annotations

import numpy as np
import pytest

from operators.explanations import Outcome, explain
from operators.rules import DetectionSettings
from operators.shard_core import ShardCore, shard_blocks
from tests.operators.detection_samples import MONDAY, minutes, noisy, one_rule, run, series

VALUES = np.r_[noisy(100), [300.0] * 5, noisy(30, seed=2)]
TIMES = minutes(135)


def at(minute, values=VALUES, settings=None):
    return explain(settings or one_rule(), series(), TIMES, values, MONDAY + 60 * minute + 7)


@pytest.mark.parametrize(
    ("minute", "outcome", "says"),
    [
        (10, Outcome.USUAL, "no detector of the rule has seen enough windows yet (zscore, iqr)"),
        (99, Outcome.USUAL, "inside the band of every detector that proposes (zscore, iqr)"),
        (100, Outcome.PENDING, "1 unusual window so far; the rule asks for 2 of 3"),
        (101, Outcome.FIRED, "unusual in 2 of 3 windows"),
        (103, Outcome.FIRING, "this window was abnormal: 300 is not back inside the band of zscore"),
        (106, Outcome.FIRING, "this window was normal"),
        (130, Outcome.USUAL, "inside the band"),
    ],
)
def test_every_window_has_its_reason(minute, outcome, says):
    found = at(minute)
    assert found.outcome is outcome
    assert says in found.reason
    assert found.sentences[0] == f"{outcome.value}: {found.reason}"


def test_it_agrees_with_the_core_on_every_window():
    alerts, decisions = run(ShardCore(one_rule()), shard_blocks([(series(), TIMES, VALUES)]))
    decided = {row.at: row.reason for row in decisions if row.verdict in {"fired", "pending", "not_confirmed"}}
    judged = {message.window.end for message in alerts if message.state == "update"}
    for minute in range(134):
        found = at(minute)
        end = MONDAY + 60 * minute + 60
        assert (found.outcome is Outcome.FIRING) == (end in judged)
        if end in decided:
            assert found.reason == decided[end]


def test_each_detector_has_its_word():
    words = {word.detector: word for word in at(100).words}
    assert words["zscore"].unusual
    assert "300 is" in words["zscore"].sentence
    assert words["seasonal"].finding is None
    assert words["seasonal"].sentence == "seasonal: warming up"
    assert words["seasonal"].holds_back


def test_a_window_that_the_season_holds_back():
    times = minutes(15 * 1440)
    nine = (times // 3600) % 168 == (MONDAY // 3600 + 9) % 168
    values = noisy(len(times)) * (1 + nine)
    surge = MONDAY + 14 * 86400 + 9 * 3600 + 120
    found = explain(one_rule(), series(), times, values, surge)
    assert found.outcome is Outcome.NOT_CONFIRMED
    assert "matches the seasonal baseline: expected 199" in found.reason
    assert "for Monday 09:00, saw 198.6" in found.reason


def test_no_rule_and_no_data():
    assert at(50, settings=DetectionSettings(rules={})).outcome is Outcome.NO_RULE
    assert at(500).outcome is Outcome.NO_DATA
