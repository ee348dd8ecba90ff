"""Recorded production series with labelled faults (NAB): what the built-in detectors find, and how often they cry wolf."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from operators.rules import DetectionSettings
from operators.shard_core import ShardCore, shard_blocks
from sentinel.alerts import AlertState
from tests.operators.detection_samples import run, series

NAB = Path(__file__).parents[2].parent / "shared" / "datasets" / "nab"
pytestmark = pytest.mark.skipif(not NAB.is_dir(), reason="the recorded series are not beside the checkout (../shared)")


def seconds(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("name", "found", "false"),
    [
        ("realKnownCause/ec2_request_latency_system_failure", 2, 0),
        ("realAWSCloudwatch/rds_cpu_utilization_e47b3b", 2, 0),
        ("realKnownCause/machine_temperature_system_failure", 2, 5),
    ],
)
def test_labelled_faults_are_found_with_few_false_alerts(name, found, false):
    with (NAB / "data" / f"{name}.csv").open() as file:
        rows = list(csv.DictReader(file))
    labels = json.loads((NAB / "labels" / "combined_windows.json").read_text())[f"{name}.csv"]
    faults = [(seconds(start), seconds(end)) for start, end in labels]
    settings = DetectionSettings.model_validate({"rules": {"all": {"window": 300}}, "vectors": {}})
    points = (series(), [seconds(row["timestamp"]) for row in rows], [float(row["value"]) for row in rows])
    alerts, _ = run(ShardCore(settings), shard_blocks([points]))
    onsets = [message.onset_at for message in alerts if message.state is AlertState.FIRING]
    assert sum(any(start <= onset <= end for onset in onsets) for start, end in faults) >= found
    assert sum(not any(start <= onset <= end for start, end in faults) for onset in onsets) <= false
