"""The configuration of detection: what it refuses, and which rule a series gets."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from operators.rules import DetectionSettings, Match, Rule
from sentinel.series import Series
from tests.operators.detection_samples import series


def test_an_empty_configuration_watches_the_usual_names():
    own = DetectionSettings()
    for name, rule in (
        ("error_ratio", "errors"), ("http_request_duration_seconds", "latency"), ("latency_p95_seconds", "latency"),
        ("memory_ratio", "memory"), ("cpu_ratio", "cpu"), ("requests_per_second", "traffic"),
    ):  # fmt: skip
        found = own.rule_for(series(name))
        assert found is not None
        assert found[0] == rule
    rest = own.rule_for(series("queue_depth"))
    assert rest is not None
    assert rest[0] == "anything"
    assert [name for name, _ in own.vectors_for(series("queue_depth"))] == ["service_vector"]


def test_the_first_rule_that_matches_wins():
    own = DetectionSettings.model_validate(
        {
            "rules": {
                "one": {"match": {"labels": {"service": "c*"}}},
                "two": {"match": {"names": ["error_ratio"]}},
                "rest": {},
            }
        }
    )
    found = [own.rule_for(each) for each in (series(), series(service="web"), series("x", "web"))]
    assert [each[0] for each in found if each] == ["one", "two", "rest"]


def test_a_missing_label_is_empty():
    bare = Series.of("error_ratio", {"service": "cart"})
    assert not Match(labels={"env": "?*"}).covers(bare)
    assert Match(labels={"env": ""}).covers(bare)


def test_named_detectors_stand_beside_the_built_in_ones():
    own = DetectionSettings.model_validate(
        {"detectors": {"slow": {"kind": "zscore", "window": 300}}, "rules": {"all": {"detectors": ["slow", "iqr"]}}}
    )
    assert set(own.detectors) == {"zscore", "iqr", "seasonal", "fused", "half_space_trees", "slow"}


@pytest.mark.parametrize("given", ["2 of 3", " 2  of 3 "])
def test_for_is_n_of_m(given):
    assert Rule.model_validate({"for": given}).confirm == (2, 3)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rules": {"a": {"for": "3 of 2"}}}, "n of m"),
        ({"rules": {"a": {"for": "often"}}}, "2 of 3"),
        ({"rules": {"a": {"detectors": ["zscor"]}}}, "no detector 'zscor'"),
        ({"rules": {"a": {"detectors": []}}}, "at least one detector"),
        ({"rules": {"a": {"detectors": ["half_space_trees"]}}}, "a detector of single series"),
        ({"vectors": {"a": {"detectors": ["zscore"]}}}, "half-space trees"),
        ({"vectors": {"a": {"detectors": ["half_space_trees", "half_space_trees"]}}}, "a vector rule"),
        ({"rules": {"a": {"detectors": ["seasonal"]}}}, "either under"),
        ({"rules": {"a": {"range": [1, 0]}}}, "lowest"),
        ({"rules": {"a": {}}, "vectors": {"a": {}}}, "used in"),
        ({"rules": {"a": {"windw": 60}}}, "Extra inputs"),
        ({"detectors": {"z": {"kind": "zscore", "window": 10, "min_windows": 20}}}, "can ever hold"),
    ],
)
def test_a_mistake_is_refused_with_its_reason(given, says):
    with pytest.raises(ValidationError, match=says):
        DetectionSettings.model_validate(given)


def test_every_setting_says_what_it_is():
    for model in (DetectionSettings, Rule, Match):
        assert all(each.description for name, each in model.model_fields.items()), model


def test_the_example_writes_out_what_is_built_in():
    example = Path(__file__).parents[2] / "config" / "detection.yaml"
    given = yaml.safe_load(example.read_text())["detection"]
    assert DetectionSettings.model_validate(given) == DetectionSettings()


@pytest.mark.parametrize(("text", "weekly"), [("2 per week", 2.0), (" 0.5  per day", 3.5), ("1 per hour", 168.0)])
def test_a_budget_is_alerts_per_time(text, weekly):
    assert Rule(budget=text).alerts_per_week == weekly


@pytest.mark.parametrize("text", ["2", "two per week", "2 per year", "-1 per week"])
def test_a_budget_that_is_none_is_refused(text):
    with pytest.raises(ValidationError, match="such as `2 per week`"):
        Rule(budget=text)
