"""From an event to a finding, and from a finding to an executed fix, with 10,000 events/s flowing in real time.

    .venv/bin/python benchmarks/end_to_end.py [--rate N] [--seconds S] [--broker kafka|embedded] [--json FILE]

`sentinel up` runs as a process with the stores of a laptop; load, broker and the simulated fleet (which only answers
actions here) share its cores. Windows are five seconds long. Every window one series is odd, so that it has a finding; once
the memory of a service leaks, and policy lets the restart run by itself. Measured from outside, on the topics:

- finding: from the moment that the event was produced that closes a window (the first one in its partition at or after the
  window's end plus the lateness) until the decision row or alert about that window was read from its topic;
- fix: from the alert's arrival on its topic until the fleet had executed the restart;
- fault to alert: from the first event with the fault until the alert arrived. Mostly the two windows that a rule asks for.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.load import LEAKING, MEMORY, WINDOW, Load
from benchmarks.throughput import broker, machine
from sentinel import logs
from sentinel.alerts import AlertMessage, AlertState
from sentinel.cli.bootstrap import sql_of
from sentinel.cli.children import Children, free_port
from sentinel.cli.settings import SHIPPED, load_settings
from sentinel.config import KafkaSettings
from sentinel.decisions import Decision
from sentinel.kafka import LogReader, end_offsets, ensure_topics
from sentinel.outcomes import Outcome
from sentinel.safety import GLOBAL
from sentinel.topics import Topics, decode
from tests.services.kafka_broker import why_missing

RESULTS = Path(__file__).parent / "results" / "end_to_end.json"
LATENESS = 0.5
WARM_UP = 60.0
FINDING_LIMIT = 1.0
FIX_LIMIT = 60.0


@dataclass(frozen=True)
class Measured:
    """Seconds, as described above; percentiles over all findings."""

    events_per_second: float
    series: int
    load_behind: float
    findings: int
    finding_median: float
    finding_p95: float
    finding_max: float
    fault_to_alert: float
    alert_to_fix: float
    outcome: str


@dataclass(frozen=True)
class Seen:
    """One message about a window: when it arrived, and which service and window end it is about."""

    arrived: float
    service: str
    end: float


class Watch:
    """Reads decisions, alerts and outcomes as they come, and notes when."""

    def __init__(self, kafka: KafkaSettings, stop: threading.Event) -> None:
        self._stop = stop
        self._topics = Topics(kafka.topic_prefix)
        self._reader = LogReader(kafka, [self._topics.decisions, self._topics.alerts, self._topics.outcomes])
        self.seen: list[Seen] = []
        self.fired_at = 0.0
        self.outcome = "none"

    def run(self) -> None:
        """Until `stop` is set."""
        while not self._stop.is_set():
            for record in self._reader.take(500, 0.05):
                arrived = time.time()
                if record.topic == self._topics.alerts:
                    self._alert(decode(record.value, AlertMessage), arrived)
                elif record.topic == self._topics.outcomes:
                    self.outcome = decode(record.value, Outcome).result.value
                else:
                    row = decode(record.value, Decision)
                    if row.stage == "confirm":
                        self.seen.append(Seen(arrived, row.service, row.at))
        self._reader.close()

    def _alert(self, message: AlertMessage, arrived: float) -> None:
        if message.state is AlertState.RESOLVED:
            return  # at the window of its last update
        self.seen.append(Seen(arrived, message.service, message.window.end))
        if message.service == LEAKING and not self.fired_at:
            self.fired_at = arrived


def main() -> None:
    """Measure, print the table, write the numbers; exit with 1 when a limit is passed."""
    arguments = _arguments()
    logs.configure(level="warning")
    with broker(arguments) as (name, bootstrap), tempfile.TemporaryDirectory() as folder:
        before = machine()
        measured = measure(bootstrap, Path(folder), arguments.rate, arguments.seconds)
    _show(name, measured)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    report = {"broker": name, "machine": before, "window_seconds": WINDOW, "lateness_seconds": LATENESS}
    arguments.json.write_text(json.dumps({**report, **asdict(measured)}, indent=2) + "\n")
    if measured.finding_max >= FINDING_LIMIT or measured.alert_to_fix >= FIX_LIMIT or measured.outcome != "verified":
        raise SystemExit(f"a finding takes {FINDING_LIMIT:g} s, a fix {FIX_LIMIT:g} s, and it is verified: not so here")


def measure(bootstrap: str, folder: Path, rate: int, seconds: float) -> Measured:
    """Run everything for the warm-up and `seconds` more."""
    kafka = KafkaSettings(bootstrap=bootstrap)
    ensure_topics(kafka)
    stop = threading.Event()
    load, watch = Load(kafka, rate, stop), Watch(kafka, stop)
    with _sentinel(bootstrap, folder) as fleet:
        threads = [threading.Thread(target=load.run), threading.Thread(target=watch.run)]
        for thread in threads:
            thread.start()
        began = time.time()
        try:
            load.odd_from = began + WARM_UP
            load.fault_at = began + WARM_UP + 2 * WINDOW
            _sleep_until(load.fault_at)
            action = _wait_for_action(fleet)
            fixed_at = time.time()
            load.healed_at = float(action["effective_at"])
            _sleep_until(began + WARM_UP + seconds)
            elapsed = time.time() - began
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    delays = np.array(_delays(kafka, watch.seen, since=load.odd_from))
    return Measured(
        events_per_second=round(load.sent / elapsed, 1),
        series=load.series,
        load_behind=round(load.late, 3),
        findings=len(delays),
        finding_median=round(float(np.median(delays)), 3),
        finding_p95=round(float(np.percentile(delays, 95)), 3),
        finding_max=round(float(delays.max()), 3),
        fault_to_alert=round(watch.fired_at - load.fault_at, 3),
        alert_to_fix=round(fixed_at - watch.fired_at, 3),
        outcome=watch.outcome,
    )


def _delays(kafka: KafkaSettings, seen: list[Seen], since: float) -> list[float]:
    """Seconds from the closing event of each window to the messages about it; producer's and reader's clock are one."""
    topic = Topics(kafka.topic_prefix).telemetry
    home: dict[str, int] = {}
    produced: dict[int, list[tuple[float, float]]] = {}
    ends = {place: offset for place, offset in end_offsets(kafka, [topic]).items() if offset}
    with LogReader(kafka, [topic]) as reader:
        # The embedded broker understates its ends by up to a batch, of which the last windows have no use.
        while any(reader.positions.get(place, 0) < offset for place, offset in ends.items()):
            for record in reader.take(5000, 1.0):
                home[record.key] = record.partition
                at = json.loads(record.value)[0]["ts"]
                produced.setdefault(record.partition, []).append((at, record.timestamp))
    marks = {partition: np.array(sorted(rows)) for partition, rows in produced.items()}
    delays = []
    for one in seen:
        rows = marks[home[one.service]]
        row = int(np.searchsorted(rows[:, 0], one.end + LATENESS))
        if one.end > since and row < len(rows):
            delays.append(one.arrived - float(rows[row, 1]))
    return delays


@contextmanager
def _sentinel(bootstrap: str, folder: Path) -> Iterator[str]:
    """`sentinel up` and the fleet as processes; gives the URL of the fleet. The fleet's clock is the wall clock."""
    ports = {name: free_port() for name in ("api", "fleet")}
    # A fleet on topics of its own: here it only answers actions. Its live phase begins at a whole minute.
    starts = (time.time() + 20) // 60 * 60 + 60
    up, fleet = (
        _configuration(bootstrap, folder, ports),
        _fleet_configuration(bootstrap, folder, ports["fleet"], starts),
    )
    for name, content in (("up", up), ("fleet", fleet)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    with Children(folder / "logs") as children:
        _let_restarts_run(folder / "up.yaml")
        children.start("up", ["--config", str(folder / "up.yaml"), "up"])
        children.wait_for_url(f"{urls['api']}/readyz", 60.0)
        children.start("fleet", ["--config", str(folder / "fleet.yaml"), "fleet"])
        children.wait_for_url(f"{urls['fleet']}/v1/clock", 60.0)
        _sleep_until(starts)
        httpx.post(f"{urls['fleet']}/v1/clock", json={"paused": False}).raise_for_status()
        yield urls["fleet"]


def _configuration(bootstrap: str, folder: Path, ports: dict[str, int]) -> dict[str, Any]:
    short = {"window": WINDOW, "detectors": ["short"], "unless": [], "warm_up": WARM_UP * 0.8, "min_relative": 0.5}
    return {
        "state_dir": str(folder / "state"),
        "catalogue_file": str(SHIPPED / "catalogue.yaml"),
        "kafka": {"bootstrap": bootstrap},
        "detection": {
            "lateness": LATENESS,
            "detectors": {"short": {"kind": "zscore", "min_windows": 8}},
            "rules": {
                "memory": {**short, "match": {"names": [MEMORY]}, "kind": "saturation", "direction": "up"},
                "others": {**short, "match": {"names": ["metric_*"]}},
            },
        },
        "remediation": {
            "policy": {
                "mode": "auto",
                "allow": [{"actions": ["restart"], "name": "*"}],
                "automatic": [{"action": "restart"}],
            },
            "verification": {"settle": WINDOW},
            "executor": {"kind": "fleet", "fleet": {"url": f"http://127.0.0.1:{ports['fleet']}"}},
        },
        "api": {"port": ports["api"]},
    }


def _fleet_configuration(bootstrap: str, folder: Path, port: int, starts: float) -> dict[str, Any]:
    return {
        "state_dir": str(folder / "fleet"),
        "catalogue_file": str(SHIPPED / "catalogue.yaml"),
        "kafka": {"bootstrap": bootstrap, "topic_prefix": "fleet."},
        "fleet": {
            "port": port,
            "history_days": 0,
            "live_start": datetime.fromtimestamp(starts, UTC).isoformat(),
            "factor": 1,
            "start_paused": True,
        },
    }


def _let_restarts_run(config: Path) -> None:
    """Close the breakers as a person would: the fix that is measured runs by itself."""
    with sql_of(load_settings(config)) as stores:
        for scope in (GLOBAL, "type:restart", f"target:fleet//service/{LEAKING}"):
            stores.breakers.close(scope, actor="benchmark", reason="measured", now=time.time())


def _sleep_until(at: float) -> None:
    time.sleep(max(0.0, at - time.time()))


def _wait_for_action(fleet: str) -> dict[str, Any]:
    end = time.time() + 2 * FIX_LIMIT
    while time.time() < end:
        found: list[dict[str, Any]] = httpx.get(f"{fleet}/v1/actions", timeout=5.0).json()
        if found:
            return found[0]
        time.sleep(0.05)
    raise SystemExit("no action was executed; see the logs of `sentinel up`")


def _show(name: str, measured: Measured) -> None:
    title = f"End to end with {measured.events_per_second:,.0f} events/s of {measured.series:,} series, {name}"
    table = Table(title=title)
    for column in ("what", "seconds", "limit"):
        table.add_column(column, justify="left" if column == "what" else "right")
    finding = f"event that closes the window -> finding, median of {measured.findings}"
    for what, seconds, limit in (
        (finding, measured.finding_median, ""),
        ("  95 of 100", measured.finding_p95, ""),
        ("  longest", measured.finding_max, f"{FINDING_LIMIT:g}"),
        (f"fault -> alert ({WINDOW:g} s windows, 2 of 3)", measured.fault_to_alert, ""),
        (f"alert -> automatic fix executed ({measured.outcome})", measured.alert_to_fix, f"{FIX_LIMIT:g}"),
    ):
        table.add_row(what, f"{seconds:.3f}", limit)
    Console(width=110).print(table)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="From event to finding, and from finding to an executed fix.")
    parser.add_argument("--rate", type=int, default=10_000, help="events per second")
    parser.add_argument(
        "--seconds", type=float, default=80.0, help=f"how long to measure after {WARM_UP:g} s of warm-up"
    )
    default = "kafka" if why_missing() is None else "embedded"
    parser.add_argument("--broker", choices=("kafka", "embedded"), default=default)
    parser.add_argument("--bootstrap", default="", help="measure on this running broker instead")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the numbers go")
    return parser.parse_args()


if __name__ == "__main__":
    main()
