"""Replay recorded series through an embedded broker and the real flows, and tell what came out."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from sentinel.broker import EmbeddedBroker
from sentinel.cli import flows
from sentinel.cli.children import free_port
from sentinel.cli.output import at, print_table, say
from sentinel.cli.settings import Settings
from sentinel.config import KafkaSettings, StoreSettings
from sentinel.errors import PermanentError
from sentinel.incidents import Incident
from sentinel.kafka import LogReader, Publisher, ensure_topics
from sentinel.plots import SeriesPlot, plot_series
from sentinel.producing import Produced, replay
from sentinel.recorded import Recording, read_recording
from sentinel.series import Series, Window
from sentinel.telemetry import TelemetrySettings
from sentinel.topics import Topics, decode

LABELS = "labels.json"
"""File beside a recording that names its service and metric, and the windows that people marked as faults."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A window that a person marked as a fault."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Labels:
    """What `labels.json` says of one recording."""

    service: str = ""
    metric: str = ""
    windows: tuple[Marked, ...] = ()

    @property
    def faults(self) -> list[Window]:
        """The marked windows in epoch seconds."""
        return [Window(one.start.timestamp(), one.end.timestamp()) for one in self.windows]


@dataclass(frozen=True, slots=True)
class Naming:
    """How the series of a recording is called; empty fields are taken from `labels.json` or the file's name."""

    service: str = ""
    metric: str = ""

    def series_of(self, file: Path) -> Series:
        """The series of one file."""
        labels = labels_of(file)
        service = self.service or labels.service or file.stem
        return Series.of(self.metric or labels.metric or "value", {"service": service})


@dataclass(frozen=True)
class Replayed:
    """What came out: incidents by opening time, and the labelled windows by service."""

    recordings: Sequence[Recording]
    labelled: Sequence[Sequence[Window]]
    produced: Produced
    incidents: Sequence[Incident]

    def fault_of(self, incident: Incident) -> Window | None:
        """The labelled window that the incident began in, if it began in one."""
        for recording, windows in zip(self.recordings, self.labelled, strict=True):
            if recording.series.service in incident.services:
                for window in windows:
                    if window.start <= incident.opened_at < window.end:
                        return window
        return None

    def draw(self, path: Path) -> None:
        """Draw the first recording with its incidents and labelled windows."""
        first = self.recordings[0]
        alerts = [
            Window(alert.onset_at, max(alert.last_window_end, alert.fired_at))
            for incident in self.incidents for alert in incident.alerts if alert.series == first.series
        ]  # fmt: skip
        plot = SeriesPlot(
            title=first.series.key, unit=first.series.name, times=first.times, values=first.values,
            alerts=alerts, labelled=self.labelled[0],
        )  # fmt: skip
        plot_series(plot, path)


def produce_recordings(kafka: KafkaSettings, files: Sequence[Path], naming: Naming) -> Produced:
    """Produce the recordings to the telemetry topic at full speed."""
    recordings = [read_recording(file, naming.series_of(file)) for file in files]
    ensure_topics(kafka)
    with Publisher(kafka) as publisher:
        return replay(recordings, publisher, Topics(kafka.topic_prefix).telemetry)


def replay_recordings(files: Sequence[Path], naming: Naming, settings: Settings | None) -> Replayed:
    """Start a broker, produce, run the flows to the end of their topics, and read the incidents back.

    Without `settings` one rule watches every series, its window being the median step of the first recording.
    """
    series = [naming.series_of(file) for file in files]
    if len({one.key for one in series}) < len(series):
        raise PermanentError("two recordings have the same service and metric; replay them one by one, or name them")
    recordings = [read_recording(file, one) for file, one in zip(files, series, strict=True)]
    with tempfile.TemporaryDirectory(prefix="sentinel-replay-") as folder:
        chosen = _settings(settings, recordings[0], Path(folder))
        with _broker(chosen, Path(folder)):
            produced = produce_recordings(chosen.kafka, files, naming)
            flows.run_to_end(chosen)
            incidents = _incidents(chosen.kafka)
    return Replayed(recordings, [labels_of(file).faults for file in files], produced, incidents)


def print_replay(found: Replayed) -> None:
    """Print the incidents, and which labelled faults they touch."""
    rows = []
    for incident in found.incidents:
        fault = found.fault_of(incident)
        alert = incident.alerts[0]
        rows.append((at(incident.opened_at), incident.title, alert.text, at(fault.start) if fault else ""))
    events = f"{found.produced.events} events from {at(found.produced.first)} to {at(found.produced.last)} UTC"
    print_table(f"Incidents in {events}", ("opened (UTC)", "incident", "what was seen", "labelled fault since"), rows)
    labelled = [window for windows in found.labelled for window in windows]
    hits = {fault for incident in found.incidents if (fault := found.fault_of(incident))}
    if labelled:
        outside = sum(found.fault_of(incident) is None for incident in found.incidents)
        say(f"{len(hits)} of {len(labelled)} labelled faults found, {outside} incidents outside of them.")


def _settings(settings: Settings | None, first: Recording, folder: Path) -> Settings:
    if settings is None:
        step = statistics.median(b - a for a, b in zip(first.times, first.times[1:], strict=False))
        rule = {"window": max(step, 1.0)}
        settings = Settings.model_validate({"detection": {"rules": {"recorded": rule}, "vectors": {}}})
    return settings.model_copy(
        update={
            "state_dir": str(folder),
            "kafka": KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}", telemetry_partitions=1),
            "stores": StoreSettings(embedder="hashed"),
            "telemetry": TelemetrySettings(max_future=None),
        }
    )


@contextmanager
def _broker(settings: Settings, folder: Path) -> Iterator[None]:
    port = int(settings.kafka.bootstrap.rpartition(":")[2])
    with EmbeddedBroker(port, folder / "broker.log"):
        yield


def _incidents(kafka: KafkaSettings) -> list[Incident]:
    """The last revision of every incident on the topic, by opening time."""
    topic = Topics(kafka.topic_prefix).incidents
    latest: dict[str, Incident] = {}
    with LogReader(kafka, [topic], {}) as reader:
        while records := reader.take(500, 1.0):
            for record in records:
                incident = decode(record.value, Incident)
                latest[incident.id] = incident
    return sorted(latest.values(), key=lambda incident: incident.opened_at)


def labels_of(file: Path) -> Labels:
    """What `labels.json` beside the file says of it; raises `PermanentError` when it cannot be read."""
    beside = file.parent / LABELS
    if not beside.exists():
        return Labels()
    try:
        return msgspec.json.decode(beside.read_bytes(), type=dict[str, Labels]).get(file.name, Labels())
    except msgspec.DecodeError as error:
        raise PermanentError(f"{beside}:1: {error}") from error
