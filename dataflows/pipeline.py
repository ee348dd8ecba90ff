"""Detection and incidents as one flow in one process, joined by the `alerts` topic as if they were two: for a laptop."""

from __future__ import annotations

from bytewax.dataflow import Dataflow

from dataflows import detect, incidents
from dataflows.sources import Reading
from sentinel.topics import Topics


def flow(
    reading: Reading,
    topics: Topics,
    detecting: detect.DetectParts,
    grouping: incidents.IncidentParts,
    group: int = 0,
    groups: int = 1,
) -> Dataflow:
    """The flow from telemetry to incidents. Only group 0 runs the incidents part: there is one of it."""
    dataflow = detect.flow(reading, topics, detecting, group, groups)
    if group == 0:
        incidents.add_to(dataflow, reading, topics, grouping)
    return dataflow
