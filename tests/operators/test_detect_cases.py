"""Cases for rules: what a text of values means, and what is told when the rules say something else."""

import numpy as np
import pytest
from pydantic import ValidationError

from operators.detect_cases import DetectCase, try_detection, values_of
from operators.rules import DetectionSettings

JUMP = {"name": "error_ratio", "service": "cart", "values": "0.01x500 0.4x10 0.01x60", "noise": 0.002}
RULES = DetectionSettings()


def tried(*series, expect, **more):
    return try_detection(DetectCase.model_validate({"name": "one", "series": series, "expect": expect, **more}), RULES)


def test_values_are_steps_ramps_and_gaps():
    assert values_of("1x2  1..2x2 -3e-1x1").tolist() == [1, 1, 1.5, 2, -0.3]
    assert np.isnan(values_of("_x3")).all()


@pytest.mark.parametrize("text", ["", "1", "x3", "1x", "1..x3", "onex3", "1x-1"])
def test_other_texts_are_refused(text):
    with pytest.raises(ValidationError, match=r"0\.1x300|no values"):
        DetectCase.model_validate({"name": "one", "series": [{**JUMP, "values": text}], "expect": []})


def test_what_is_expected_makes_no_difference():
    assert (
        tried(JUMP, expect=[{"rule": "err*", "after": 30000, "before": 30180, "ends": "recovered"}]).differences == ()
    )


@pytest.mark.parametrize(
    ("expect", "says"),
    [
        ([], "not expected: errors on error_ratio"),
        ([{"rule": "latency"}], "expected an alert of rule latency on * from 0 s, and there is none"),
        ([{"rule": "errors", "before": 60}], "from 0 s to 60 s"),
        ([{"rule": "errors", "after": 40000}], "from 40000 s"),
        ([{"rule": "errors", "service": "web"}], "on web"),
        ([{"rule": "errors", "ends": "stale"}], "stale"),
        ([{"rule": "errors"}, {"rule": "errors"}], "and there is none"),
    ],
)
def test_every_difference_is_told(expect, says):
    assert any(says in one for one in tried(JUMP, expect=expect).differences)


def test_a_series_that_no_rule_covers_is_named():
    only = DetectionSettings.model_validate({"rules": {"latency": {"match": {"names": ["latency*"]}}}, "vectors": {}})
    case = DetectCase.model_validate({"name": "one", "series": [JUMP], "expect": [{"rule": "errors"}]})
    assert 'no rule covers error_ratio{service="cart"}' in try_detection(case, only).differences


def test_silence_makes_a_firing_alert_stale():
    silent = {**JUMP, "values": "0.01x500 0.4x5 _x60 0.01x30"}
    assert tried(silent, expect=[{"rule": "errors", "ends": "stale"}]).differences == ()
