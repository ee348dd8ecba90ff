"""The shipped configuration reaches its floors on labelled data; the simple detectors beside it are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.quality import DEFAULT_SHARED, FLOORS, MOST_ALERTS, load, missing, shipped
from benchmarks.simple_detectors import SIMPLE
from operators.rules import DetectionSettings
from tests.operators.detection_samples import minutes, noisy

ABSENT = missing(DEFAULT_SHARED)


@pytest.mark.slow
@pytest.mark.skipif(bool(ABSENT), reason=ABSENT or "the data is there")
@pytest.mark.parametrize("name", FLOORS)
def test_the_shipped_rules_reach_the_floor_at_their_one_threshold(name):
    labelled = load(DEFAULT_SHARED, name)
    detector = shipped(DetectionSettings())
    found = labelled.measure({path: detector(*columns) for path, columns in labelled.series.items()}, 1.0)
    assert found["score" if name == "nab" else "f1"] >= FLOORS[name]
    if name in MOST_ALERTS:
        assert found["alerts_per_series_day"] <= MOST_ALERTS[name]


@pytest.mark.parametrize("name", SIMPLE)
def test_a_simple_detector_sees_a_jump_and_not_the_noise(name):
    values = noisy(3000)
    values[2500] = 160
    scores = SIMPLE[name](minutes(3000), values)
    assert np.isfinite(scores).all()
    assert (scores[:140] < 1).all()
    # Two deviations are no news, and half-space trees say "1 % of the time" by definition.
    usual = {"Grafana-style band": 0.06, "half-space trees": 0.03}.get(name, 0.001)
    assert (scores[:2500] >= 1).mean() <= usual
    if name != "half-space trees":
        assert scores[2500] >= 1


def test_the_reason_names_what_is_missing(tmp_path):
    assert "nab_score.py" in missing(tmp_path)
    assert "--shared" in missing(tmp_path)
