"""Run the Bytewax flows of a configuration in this process."""

from __future__ import annotations

import threading
from pathlib import Path

from dataflows import detect, incidents, pipeline
from dataflows.detect import DetectParts
from dataflows.incidents import IncidentParts
from dataflows.running import run_flow
from dataflows.sources import Reading
from sentinel.cli import bootstrap
from sentinel.cli.settings import Settings
from sentinel.kafka import ensure_topics
from sentinel.stores.history.protocol import SeriesHistory
from sentinel.stores.memory.protocol import IncidentMemory
from sentinel.topics import Topics


def run_detect(settings: Settings, group: int, stop: threading.Event) -> None:
    """Telemetry to alerts, for one partition group, until `stop` is set."""
    reading = _reading(settings, f"detect-{group}", stop)
    flow = detect.flow(reading, _topics(settings), _detecting(settings), group, settings.flow.partition_groups)
    run_flow(flow, _folder(settings, f"detect-{group}"), _layout(settings, reading, group), settings.flow)


def run_incidents(
    settings: Settings, history: SeriesHistory, memory: IncidentMemory, stop: threading.Event, *, to_end: bool = False
) -> None:
    """Alerts to incidents, until `stop` is set or, with `to_end`, until everything written so far is through."""
    reading = _reading(settings, "incidents", stop, to_end=to_end)
    flow = incidents.flow(reading, _topics(settings), _grouping(settings, history, memory))
    run_flow(flow, _folder(settings, "incidents"), {}, settings.flow)


def run_pipeline(
    settings: Settings, history: SeriesHistory, memory: IncidentMemory, group: int, stop: threading.Event
) -> None:
    """Both in one flow, until `stop` is set."""
    reading = _reading(settings, f"pipeline-{group}", stop)
    flow = pipeline.flow(
        reading,
        _topics(settings),
        _detecting(settings),
        _grouping(settings, history, memory),
        group,
        settings.flow.partition_groups,
    )
    run_flow(flow, _folder(settings, f"pipeline-{group}"), _layout(settings, reading, group), settings.flow)


def run_to_end(settings: Settings) -> None:
    """Detect, then incidents, each to the end of what is there: for a replay."""
    stop = threading.Event()
    reading = _reading(settings, "detect-0", stop, to_end=True)
    flow = detect.flow(reading, _topics(settings), _detecting(settings))
    run_flow(flow, _folder(settings, "detect-0"), _layout(settings, reading, 0), settings.flow)
    with bootstrap.history_of(settings) as history, bootstrap.memory_of(settings) as memory:
        run_incidents(settings, history, memory, stop, to_end=True)


def _topics(settings: Settings) -> Topics:
    return Topics(settings.kafka.topic_prefix)


def _reading(settings: Settings, name: str, stop: threading.Event, *, to_end: bool = False) -> Reading:
    ensure_topics(settings.kafka)
    return settings.flow.reading(
        settings.kafka, f"{settings.kafka.topic_prefix}sentinel-{name}", stop, stop_at_end=to_end
    )


def _detecting(settings: Settings) -> DetectParts:
    return DetectParts(telemetry=settings.telemetry, detection=settings.detection)


def _grouping(settings: Settings, history: SeriesHistory, memory: IncidentMemory) -> IncidentParts:
    return IncidentParts(settings=settings.incidents, catalogue=settings.services, history=history, memory=memory)


def _layout(settings: Settings, reading: Reading, group: int) -> dict[str, int]:
    return detect.layout(reading, _topics(settings), _detecting(settings), group, settings.flow.partition_groups)


def _folder(settings: Settings, name: str) -> Path:
    """Where the state of a flow is kept."""
    return settings.state / "flows" / name
