"""The archive: copies telemetry and decisions from Kafka into the series history, apart from detection.

A consumer group of its own commits after the insert. While the history is away it waits and tries again, and nothing is
lost; after a crash the last batch is inserted again, which the history merges.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from functools import partial

import msgspec
from pydantic import Field

from sentinel.config import KafkaSettings, Section
from sentinel.decisions import Decision
from sentinel.errors import TransientError
from sentinel.kafka import GroupConsumer, Record, ensure_topics
from sentinel.logs import get_logger
from sentinel.metrics import ARCHIVE_RETRIES, ARCHIVED, MESSAGES_UNREADABLE
from sentinel.stores.history.protocol import Points, SeriesHistory
from sentinel.telemetry import FutureGuard, TelemetrySettings, parse_messages, reject_rows
from sentinel.telemetry_events import Reason
from sentinel.telemetry_series import SeriesTable
from sentinel.topics import Topics, decode

log = get_logger(__name__)


class ArchiveSettings(Section):
    """How the archive batches and waits."""

    group: str = "sentinel-archive"
    """Consumer group that holds the archive's offsets, behind `kafka.topic_prefix`. One archive at a time uses it."""
    batch_messages: int = Field(default=5_000, ge=1)
    """Most messages copied at once. Default 5,000."""
    batch_seconds: float = Field(default=1.0, gt=0)
    """Seconds that a batch is collected. ClickHouse likes few large inserts; default 1 s keeps the history fresh."""
    longest_pause: float = Field(default=30.0, gt=0)
    """Longest wait between two tries while the history is away, seconds. The wait doubles from 0.5 s up to this."""


class PointReader:
    """Turns telemetry messages into points, by the same rules as `decode`; what `decode` rejects is left out."""

    def __init__(self, settings: TelemetrySettings, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._now = now
        self._table = SeriesTable()
        self._guards: dict[int, FutureGuard] = {}

    def read(self, records: Iterable[Record]) -> list[Points]:
        """The good events of some telemetry records, one block of points per partition."""
        values: dict[int, list[bytes]] = {}
        for record in records:
            values.setdefault(record.partition, []).append(record.value)
        return [self._partition(partition, messages) for partition, messages in values.items()]

    def _partition(self, partition: int, messages: list[bytes]) -> Points:
        self._table.trim()
        columns = parse_messages(messages, self._table, self._settings)
        guard = self._guards.setdefault(partition, FutureGuard(self._settings, 0.0))
        far = guard.too_far(columns.times, self._now())
        if far.any():
            columns = reject_rows(columns, far, self._table, Reason.FAR_FUTURE)
        series = self._table.series
        return Points([series[row] for row in columns.ids.tolist()], columns.times, columns.values)


class Archive:
    """Copies until told to stop. `run` is the entry of a thread or a process; the caller owns the history."""

    def __init__(
        self,
        kafka: KafkaSettings,
        history: SeriesHistory,
        settings: ArchiveSettings,
        telemetry: TelemetrySettings,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._kafka = kafka
        self._topics = Topics(kafka.topic_prefix)
        self._history = history
        self._settings = settings
        self._points = PointReader(telemetry, now)

    def run(self, stop: threading.Event) -> None:
        """Copy batch after batch until `stop` is set. Raises `PermanentError` for what waiting cannot mend."""
        ensure_topics(self._kafka)
        opened: list[GroupConsumer] = []
        # A broker that answers may still be electing the group's coordinator: the offsets can be asked for a moment later.
        if not self._try(lambda: opened.append(self._open()), "offsets", stop):
            return
        with opened[0] as consumer:
            while not stop.is_set():
                records = self._collect(consumer, stop)
                if records and self._copy(records, stop):
                    self._try(consumer.commit, "commit", stop)

    def _open(self) -> GroupConsumer:
        topics = [self._topics.telemetry, self._topics.decisions]
        return GroupConsumer(self._kafka, topics, f"{self._kafka.topic_prefix}{self._settings.group}")

    def _collect(self, consumer: GroupConsumer, stop: threading.Event) -> list[Record]:
        records: list[Record] = []
        end = time.monotonic() + self._settings.batch_seconds
        while len(records) < self._settings.batch_messages and not stop.is_set():
            left = end - time.monotonic()
            if left <= 0:
                break
            records += consumer.take(self._settings.batch_messages - len(records), min(left, 0.25))
        return records

    def _copy(self, records: list[Record], stop: threading.Event) -> bool:
        """Insert a batch, waiting for the history as long as it takes; False when stopped before it was in."""
        points = self._points.read(r for r in records if r.topic == self._topics.telemetry)
        rows = list(_decisions(r for r in records if r.topic == self._topics.decisions))
        for block in points:
            if len(block.times) and not self._try(partial(self._history.add_points, block), "points", stop):
                return False
            ARCHIVED.labels("point").inc(len(block.times))
        if rows and not self._try(partial(self._history.add_decisions, rows), "decisions", stop):
            return False
        ARCHIVED.labels("decision").inc(len(rows))
        return True

    def _try(self, work: Callable[[], None], what: str, stop: threading.Event) -> bool:
        """Do `work`, again and again while it fails transiently; False when stopped first."""
        pause = 0.5
        while True:
            try:
                work()
            except TransientError as error:
                ARCHIVE_RETRIES.inc()
                log.warning("the archive waits", what=what, reason=str(error), seconds=pause)
                if stop.wait(pause):
                    return False
                pause = min(pause * 2, self._settings.longest_pause)
            else:
                return True


def _decisions(records: Iterable[Record]) -> Iterable[Decision]:
    for record in records:
        try:
            yield decode(record.value, Decision)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            MESSAGES_UNREADABLE.labels(record.topic).inc()
            log.warning("no decision row, left out", topic=record.topic, offset=record.offset, reason=str(error))
