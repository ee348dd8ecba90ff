"""The flow from telemetry to alerts: `telemetry` in; `alerts`, `decisions` and `telemetry.rejected` out.

`decode` makes columns, `summarize` closes windows, `detect` scores them, `confirm` says what fires. State follows the
partition, so that any number of processes can run this, each with partitions of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream

from dataflows.sinks import alert_out, decision_out, rejected_out, write
from dataflows.sources import Reading, partitions_of_group, read_blocks
from operators.confirm import confirm
from operators.decode import decode
from operators.decoding import RejectedMessage
from operators.detect import detect
from operators.rules import DetectionSettings
from operators.summarize import summarize
from sentinel.alerts import AlertMessage
from sentinel.decisions import Decision
from sentinel.kafka import partition_count
from sentinel.telemetry import TelemetrySettings
from sentinel.topics import Topics


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectParts:
    """What the flow is made of; `now` is wall time in seconds."""

    telemetry: TelemetrySettings
    detection: DetectionSettings
    now: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class DetectStreams:
    """What comes out of the flow's steps."""

    alerts: Stream[AlertMessage]
    decisions: Stream[Decision]
    rejected: Stream[RejectedMessage]


def wire_detect(
    dataflow: Dataflow, reading: Reading, topics: Topics, partitions: Sequence[int], parts: DetectParts
) -> DetectStreams:
    """Put source and steps into `dataflow`; the caller joins what comes out to its sinks."""
    raw = read_blocks("detect_telemetry", dataflow, reading, topics.telemetry, partitions)
    decoded = decode("detect_decode", raw, topics.telemetry, parts.telemetry, parts.detection.lateness, parts.now)
    windows = summarize("detect_summarize", decoded.shards, parts.detection)
    scored = detect("detect_detect", windows, parts.detection)
    judged = op.key_rm("detect_judgements", confirm("detect_confirm", scored, parts.detection, parts.now))
    return DetectStreams(
        alerts=op.flat_map("detect_alerts", judged, lambda said: said.alerts),
        decisions=op.flat_map("detect_decisions", judged, lambda said: said.decisions),
        rejected=decoded.rejected,
    )


def write_detect(streams: DetectStreams, reading: Reading, topics: Topics) -> None:
    """Join what the steps say to the topics `alerts`, `decisions` and `telemetry.rejected`."""
    kafka = reading.kafka
    write("detect_write_alerts", op.map("detect_alerts_out", streams.alerts, alert_out), kafka, topics.alerts)
    rows = op.map("detect_decisions_out", streams.decisions, decision_out)
    write("detect_write_decisions", rows, kafka, topics.decisions)
    rejected = op.map("detect_rejected_out", streams.rejected, rejected_out)
    write("detect_write_rejected", rejected, kafka, topics.rejected)


def flow(reading: Reading, topics: Topics, parts: DetectParts, group: int = 0, groups: int = 1) -> Dataflow:
    """The flow of one partition group as a process of its own, from Kafka to Kafka."""
    dataflow = Dataflow("detect")
    partitions = partitions_of_group(partition_count(reading.kafka, topics.telemetry), group, groups)
    write_detect(wire_detect(dataflow, reading, topics, partitions, parts), reading, topics)
    return dataflow


def layout(reading: Reading, topics: Topics, parts: DetectParts, group: int = 0, groups: int = 1) -> dict[str, int]:
    """What the flow's state depends on, for its recovery store: it stays the same for the life of the store."""
    return {
        "partitions": partition_count(reading.kafka, topics.telemetry),
        "group": group,
        "groups": groups,
        "sub_shards": parts.telemetry.sub_shards,
    }
