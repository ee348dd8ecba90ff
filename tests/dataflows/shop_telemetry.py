"""A small shop's telemetry with faults in it, and the detect flow as a child process, for the tests of the flow."""

from __future__ import annotations

import json
import random
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dataflows.detect import DetectParts, flow, layout
from dataflows.running import FlowSettings, run_flow, stop_on_signals
from operators.rules import DetectionSettings, Match, Rule
from sentinel.alerts import AlertMessage, FaultKind
from sentinel.config import KafkaSettings
from sentinel.decisions import Decision
from sentinel.kafka import LogReader, Publisher, end_offsets
from sentinel.telemetry import TelemetrySettings
from sentinel.topics import Topics, decode

START = 1_700_000_040.0
"""A full minute."""
SERVICES = tuple(f"svc-{number:02d}" for number in range(12))
MINUTES = 24 * 60
PARTS = DetectParts(
    telemetry=TelemetrySettings(),
    detection=DetectionSettings(
        rules={
            "errors": Rule(match=Match(names=("error_ratio",)), kind=FaultKind.ERRORS, unless=(), min_absolute=0.05)
        },
        vectors={},
    ),
)
SETTINGS = FlowSettings(snapshot_interval=0.3)


def faulty(service: int, minute: int) -> bool:
    """Each service fails for ten minutes, some hours into the recording; the first third of them twice."""
    begins = [500 + 60 * service, *([1300] if service < 4 else [])]
    return any(begin <= minute < begin + 10 for begin in begins)


def messages(per_message: int = 20, minutes: int = MINUTES) -> Iterator[tuple[str, bytes]]:
    """(key, value) in the order of time: each message holds some minutes of one service; here and there is junk."""
    chance = random.Random(7)
    for begin in range(0, minutes, per_message):
        for number, service in enumerate(SERVICES):
            events = [
                {
                    "ts": START + 60.0 * minute,
                    "name": "error_ratio",
                    "value": (0.5 if faulty(number, minute) else 0.01) + chance.gauss(0, 0.003),
                    "labels": {"service": service},
                }
                for minute in range(begin, min(begin + per_message, minutes))
            ]
            yield service, json.dumps(events).encode()
            if chance.random() < 0.05:
                yield service, b"junk"


def patient() -> DetectParts:
    """Producers of this shop send a message of many minutes at a time: partitions wait that long."""
    detection = PARTS.detection.model_copy(update={"lateness": 3600.0})
    return DetectParts(telemetry=PARTS.telemetry, detection=detection)


def said(kafka: KafkaSettings) -> tuple[list[AlertMessage], list[Decision], list[tuple[str, bytes]]]:
    """Everything on the topics `alerts`, `decisions` and `telemetry.rejected` now (reason and value of the last)."""
    topics = Topics(kafka.topic_prefix)
    names = [topics.alerts, topics.decisions, topics.rejected]
    ends = {place: end for place, end in end_offsets(kafka, names).items() if end}
    alerts: list[AlertMessage] = []
    rows: list[Decision] = []
    rejected: list[tuple[str, bytes]] = []
    with LogReader(kafka, names) as reader:
        while any(reader.positions.get(place, 0) < end for place, end in ends.items()):
            for record in reader.take(5000, timeout=1.0):
                if record.topic == topics.alerts:
                    alerts.append(decode(record.value, AlertMessage))
                elif record.topic == topics.decisions:
                    rows.append(decode(record.value, Decision))
                else:
                    rejected.append((record.headers["offset"].decode(), record.value))
    return alerts, rows, rejected


def timeless(message: AlertMessage | Decision) -> dict[str, Any]:
    """A message without what a second run may say differently: wall time, and the trace id, which names the topic."""
    fields = {name: getattr(message, name) for name in message.__dataclass_fields__}
    return {name: value for name, value in fields.items() if name not in {"detected_at", "decided_at", "trace_id"}}


def publish_all(kafka: KafkaSettings) -> int:
    """Write the whole recording; returns how many messages it has."""
    count = 0
    with Publisher(kafka) as publisher:
        for key, value in messages():
            publisher.publish(Topics(kafka.topic_prefix).telemetry, key, value)
            count += 1
    return count


def run_detect(kafka: KafkaSettings, folder: Path, stop: threading.Event, *, stop_at_end: bool) -> None:
    """The detect flow in this process."""
    reading = SETTINGS.reading(kafka, "shop-detect", stop, stop_at_end=stop_at_end)
    topics = Topics(kafka.topic_prefix)
    run_flow(flow(reading, topics, patient()), folder, layout(reading, topics, patient()), SETTINGS)


def main(bootstrap: str, prefix: str, folder: str, *flags: str) -> None:
    """The detect flow as a process of its own."""
    stop = threading.Event()
    stop_on_signals(stop)
    print("runs", flush=True)
    kafka = KafkaSettings(bootstrap=bootstrap, topic_prefix=prefix)
    run_detect(kafka, Path(folder), stop, stop_at_end="--to-the-end" in flags)


if __name__ == "__main__":
    main(*sys.argv[1:])
