"""Events per second from Kafka to findings: the detect flow as shipped, in one process, on a real broker.

    .venv/bin/python benchmarks/throughput.py [--events N] [--broker kafka|embedded] [--bootstrap HOST:PORT] [--json FILE]

Each row produces a recording of 5,000 series (50 services with 100 metrics each, so that a message of 100 events is one
scrape of a service) with faults in it, then lets the flow read it to its end: block source, decode, event-time windows,
z-score, IQR fences, seasonal baseline and half-space trees of the built-in rules, confirm, alerts and decisions written to
Kafka, snapshots every ten seconds. Producing is not measured. Broker and flow share the machine's cores; CPU is the flow's
process with all threads of the Kafka client.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from dataflows.detect import DetectParts, flow, layout
from dataflows.running import FlowSettings, run_flow
from operators.rules import BUILT_IN_RULES, DetectionSettings
from sentinel import logs
from sentinel.broker import EmbeddedBroker
from sentinel.cli.children import free_port
from sentinel.config import KafkaSettings
from sentinel.kafka import Publisher, check_broker, end_offsets, ensure_topics
from sentinel.metrics import REGISTRY, render, totals
from sentinel.telemetry import TelemetrySettings
from sentinel.topics import Topics
from tests.services.kafka_broker import KafkaBroker, why_missing

SERVICES = 50
KINDS = ("error_ratio", "latency_p95_seconds", "memory_ratio", "cpu_ratio", "requests_per_second")
METRICS = [f"{kind}_{number:02d}" for kind in KINDS for number in range(20)]
START = 1_700_000_000.0 // 3600 * 3600
RESULTS = Path(__file__).parent / "results" / "throughput.json"


@dataclass(frozen=True)
class Case:
    """One row: how many events, how many in a message, and seconds between two events of a series."""

    events: int
    per_message: int
    step: float


@dataclass(frozen=True)
class Measured:
    """What one row showed. `stages`: wall microseconds per event inside each step, waiting for a core included."""

    events: int
    per_message: int
    step_seconds: float
    seconds: float
    events_per_second: int
    cpu_microseconds_per_event: float
    stages: dict[str, float]
    windows: int
    findings: int
    alert_messages: int


class Clock:
    """Wall time that remembers when the flow first and last asked for it: its first and last block."""

    def __init__(self) -> None:
        self.first = self.last = self.first_cpu = self.last_cpu = 0.0

    def __call__(self) -> float:
        """The wall time in epoch seconds."""
        self.last, self.last_cpu = time.perf_counter(), time.process_time()
        if not self.first:
            self.first, self.first_cpu = self.last, self.last_cpu
        return time.time()


def main() -> None:
    """Measure each case and print the table."""
    arguments = _arguments()
    logs.configure(level="warning")
    cases = [
        Case(arguments.events, 100, 15.0),
        Case(arguments.events, 100, 60.0),
        Case(arguments.events // 3, 5, 15.0),
        Case(arguments.events // 6, 1, 15.0),
    ]
    with broker(arguments) as (name, bootstrap):
        measure(bootstrap, Case(50_000, 100, 15.0))  # compiles the kernels or loads them from their cache
        rows = [measure(bootstrap, case) for case in cases]
    _show(name, rows)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "broker": name,
        "machine": machine(),
        "series": SERVICES * len(METRICS),
        "rows": [asdict(r) for r in rows],
    }
    arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    if min(row.events_per_second for row in rows) < arguments.at_least:
        raise SystemExit(f"slower than {arguments.at_least} events/s")


def measure(bootstrap: str, case: Case) -> Measured:
    """Produce one recording and let the flow read it."""
    kafka = KafkaSettings(bootstrap=bootstrap, topic_prefix=f"bench-{uuid.uuid4().hex[:8]}.")
    topics = Topics(kafka.topic_prefix)
    ensure_topics(kafka)
    produce(kafka, case)
    clock = Clock()
    parts = DetectParts(telemetry=TelemetrySettings(), detection=_detection(), now=clock)
    settings = FlowSettings()
    reading = settings.reading(kafka, "throughput", threading.Event(), stop_at_end=True)
    before, stages = totals(render()[0].decode()), _stage_seconds()
    with tempfile.TemporaryDirectory() as folder:
        run_flow(flow(reading, topics, parts), Path(folder), layout(reading, topics, parts), settings)
    after = totals(render()[0].decode())
    grown = {name: value - before.get(name, 0.0) for name, value in after.items()}
    events = int(grown["sentinel_events_decoded_total"])
    if events != case.events:
        raise SystemExit(f"{events} of {case.events} events arrived")
    seconds = clock.last - clock.first
    return Measured(
        events=events,
        per_message=case.per_message,
        step_seconds=case.step,
        seconds=round(seconds, 3),
        events_per_second=round(events / seconds),
        cpu_microseconds_per_event=round((clock.last_cpu - clock.first_cpu) / events * 1e6, 3),
        stages={name: round((end - stages[name]) / events * 1e6, 3) for name, end in _stage_seconds().items()},
        windows=int(grown["sentinel_windows_closed_total"]),
        findings=int(grown["sentinel_findings_total"]),
        alert_messages=end_offsets(kafka, [topics.alerts])[topics.alerts, 0],
    )


def produce(kafka: KafkaSettings, case: Case) -> None:
    """Write the recording, keyed by service, in the order of time."""
    telemetry = Topics(kafka.topic_prefix).telemetry
    per_round = SERVICES * len(METRICS)
    with Publisher(kafka) as publisher:
        for number in range(case.events // per_round):
            for service, events in scrape(number, START + number * case.step):
                for at in range(0, len(events), case.per_message):
                    part = events[at : at + case.per_message]
                    publisher.publish(telemetry, service, msgspec.json.encode(part if len(part) > 1 else part[0]))


def scrape(number: int, ts: float) -> Iterator[tuple[str, list[dict[str, object]]]]:
    """One value of every series: noise, and now and then a service whose errors and latencies jump for a while."""
    noise = np.random.default_rng(number).normal(0.0, 0.03, (SERVICES, len(METRICS)))
    for service in range(SERVICES):
        values = 0.5 + noise[service]
        if (number // 20) % SERVICES == service:
            values[:40] += 0.8
        labels = {"service": f"service-{service:02d}", "env": "prod"}
        yield (
            labels["service"],
            [
                {"ts": ts, "name": name, "value": value, "labels": labels}
                for name, value in zip(METRICS, values.tolist(), strict=True)
            ],
        )


def _detection() -> DetectionSettings:
    """The built-in rules, with a warm-up that a recording of minutes can pass."""
    return DetectionSettings(
        rules={name: rule.model_copy(update={"warm_up": 1200.0}) for name, rule in BUILT_IN_RULES.items()}
    )


STEPS = ("summarize", "detect", "confirm")


def _stage_seconds() -> dict[str, float]:
    """Seconds spent inside each step since this process began."""
    seconds = {"decode": REGISTRY.get_sample_value("sentinel_decode_block_seconds_sum") or 0.0}
    for step in STEPS:
        seconds[step] = REGISTRY.get_sample_value("sentinel_detection_block_seconds_sum", {"step": step}) or 0.0
    return seconds


@contextmanager
def broker(arguments: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """The broker to measure on: a given one, Apache Kafka where it can run, else the embedded one."""
    if arguments.bootstrap:
        check_broker(KafkaSettings(bootstrap=arguments.bootstrap))
        yield f"given ({arguments.bootstrap})", arguments.bootstrap
        return
    with tempfile.TemporaryDirectory() as folder:
        if arguments.broker == "kafka":
            kafka = KafkaBroker(Path(folder))
            kafka.start()
            try:
                yield "Apache Kafka 4.3.1", kafka.bootstrap
            finally:
                kafka.stop()
            return
        with EmbeddedBroker(free_port(), Path(folder) / "broker.log") as embedded:
            yield "Tansu (embedded)", embedded.bootstrap


def machine() -> dict[str, object]:
    """What it was measured on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    names = ("bytewax", "confluent-kafka", "msgspec", "numba", "numpy")
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
        "packages": {name: version(name) for name in names},
    }


def _show(name: str, rows: list[Measured]) -> None:
    table = Table(title=f"Kafka to findings, {SERVICES * len(METRICS):,} series, {name}")
    stages = list(rows[0].stages)
    for column in (
        "events",
        "a message",
        "step s",
        "events/s",
        "CPU us/event",
        *stages,
        "windows",
        "findings",
        "alerts",
    ):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            f"{row.events:,}", str(row.per_message), f"{row.step_seconds:g}", f"{row.events_per_second:,}",
            f"{row.cpu_microseconds_per_event:.2f}", *(f"{row.stages[stage]:.2f}" for stage in stages),
            f"{row.windows:,}", f"{row.findings:,}", f"{row.alert_messages:,}",
        )  # fmt: skip
    Console(width=150).print(table)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Events per second from Kafka to findings.")
    parser.add_argument("--events", type=int, default=3_000_000, help="events of the largest rows")
    default = "kafka" if why_missing() is None else "embedded"
    parser.add_argument("--broker", choices=("kafka", "embedded"), default=default)
    parser.add_argument("--bootstrap", default="", help="measure on this running broker instead")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the numbers go")
    parser.add_argument("--at-least", type=int, default=50_000, help="exit with 1 when a row has fewer events/s")
    return parser.parse_args()


if __name__ == "__main__":
    main()
