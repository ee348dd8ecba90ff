"""What producers send: raw bytes in, columns of good events and reasons for the bad ones out. Pure, and never raises.

One message is one event, an array of events, or `{"v": 1, "events": [...]}`; docs/seams.md describes the fields. The
fast way decodes a whole message with msgspec and looks its labels up by their bytes (0.3 us per event at 100 events per
message, 1.3 us at one); a scanner may take plain messages of known series off it. A message that does not fit goes the slow way, event by event, which also reads the tokens NaN
and Infinity that some producers write: one bad event rejects itself alone. A key given twice counts with its last
value, as in other JSON readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sentinel.config import Section
from sentinel.telemetry_events import EARLIEST, LATEST, BadEvent, Reason, check_event, event_bytes, read_events
from sentinel.telemetry_series import SeriesTable

Floats = NDArray[np.float64]

SINGLE_REJECTS = 100
"""Bad events of one message that are rejected one by one: half a million in a megabyte must not become as many messages."""


class TelemetrySettings(Section):
    """Limits of telemetry (what exceeds them is rejected with a reason), and how it is spread over state."""

    max_message_bytes: int = 1 << 20
    """Largest message, bytes. Default 1 MiB, the default limit of Kafka itself."""
    max_text: int = 256
    """Longest metric name, label name and label value, characters. Default 256: longer ones are mistakes such as ids."""
    max_labels: int = 32
    """Most labels of one event. Default 32."""
    max_future: float | None = 3600.0
    """Seconds that an event may lie ahead of both the partition's watermark and the wall clock; default one hour, enough
    for bad clocks. `null` exempts: replays and simulations, whose event time runs ahead of the wall clock."""
    sub_shards: int = Field(default=4, ge=1, le=64)
    """Parts that each partition's state is split into, by CRC-32 of the service. Fixed for the life of a recovery store.
    Default 4: blocks stay large and one part's snapshot small."""
    max_known_series: int = Field(default=200_000, ge=1000)
    """Spellings of series kept interned per partition; when passed, all are forgotten and met anew. Default 200,000,
    which is 100 MB at most."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """One event (or one whole message) that was refused: `message` is the index of its message in the block.

    `value` is the message as it came when it held one event, else the event alone, written as JSON. A message with more
    than `SINGLE_REJECTS` bad events has one entry for the rest of each reason: `count` events, the first of them as value.
    """

    message: int
    reason: Reason
    detail: str
    value: bytes
    count: int = 1


@dataclass(frozen=True, slots=True)
class Columns:
    """n good events in arrival order: `ids[i]` is a row of the series table, `messages[i]` the index of its message."""

    times: Floats
    values: Floats
    ids: NDArray[np.int64]
    messages: NDArray[np.int64]
    rejected: list[Rejected]


class _Event(msgspec.Struct, gc=False):
    ts: float | Annotated[datetime, msgspec.Meta(tz=True)]
    name: str
    value: float
    labels: msgspec.Raw


class _Batch(msgspec.Struct, gc=False):
    v: int
    events: list[_Event]


_one = msgspec.json.Decoder(_Event)
_many = msgspec.json.Decoder(list[_Event])
_batch = msgspec.json.Decoder(_Batch)


class _Misfit(Exception):  # noqa: N818  (a turn of the way, not an error)
    """The message needs the slow way."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scanner understood of a block: n events in arrival order, and for each message how many of them are its.

    `counts[i]` is -1 for a message that it left to the exact way.
    """

    times: Floats
    values: Floats
    ids: NDArray[np.int64]
    counts: NDArray[np.int64]


class Scanner(Protocol):
    """A faster way into columns for messages that it fully understands; it never takes one in another sense."""

    def scan(self, values: Sequence[bytes], longest: int) -> Scanned:
        """Scan messages of at most `longest` bytes."""


def parse_messages(
    values: Sequence[bytes], table: SeriesTable, settings: TelemetrySettings, scanner: Scanner | None = None
) -> Columns:
    """Turn raw messages into columns; series that the table does not know yet are added to it.

    Never raises: whatever the bytes are, each event ends either in the columns or in `rejected` with a reason.
    """
    scanned = scanner.scan(values, settings.max_message_bytes) if scanner else _nothing_scanned(len(values))
    out: _Lists = ([], [], [])
    ids = out[2]
    counts = scanned.counts.copy()
    rejected: list[Rejected] = []
    for index in np.flatnonzero(counts < 0).tolist():
        data, before = values[index], len(ids)
        try:
            _fast(data, table, settings, out)
        except _Misfit:
            for column in out:
                del column[before:]
            _slow(index, data, table, settings, out, rejected)
        counts[index] = len(ids) - before
    return _within_time(_joined(scanned, counts, out, rejected), table)


def _joined(scanned: Scanned, counts: NDArray[np.int64], out: _Lists, rejected: list[Rejected]) -> Columns:
    """The events of both ways in their order of arrival."""
    messages = np.repeat(np.arange(len(counts)), counts)
    if not out[0]:
        return Columns(scanned.times, scanned.values, scanned.ids, messages, rejected)
    quick = scanned.counts[messages] >= 0
    times, values = np.empty(len(messages), np.float64), np.empty(len(messages), np.float64)
    ids = np.empty(len(messages), np.int64)
    for column, known, other in ((times, scanned.times, out[0]), (values, scanned.values, out[1])):
        column[quick], column[~quick] = known, other
    ids[quick], ids[~quick] = scanned.ids, out[2]
    return Columns(times, values, ids, messages, rejected)


def _nothing_scanned(messages: int) -> Scanned:
    none = np.empty(0, np.float64)
    return Scanned(none, none, np.empty(0, np.int64), np.full(messages, -1, np.int64))


_Lists = tuple[list[float], list[float], list[int]]


def _fast(data: bytes, table: SeriesTable, settings: TelemetrySettings, out: _Lists) -> None:
    """Append a well-formed message; `_Misfit` when anything about it needs a closer look."""
    if len(data) > settings.max_message_bytes:
        raise _Misfit
    try:
        events = _decode(data)
        out[0].extend([event.ts if type(event.ts) is float else event.ts.timestamp() for event in events])  # type: ignore[union-attr]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise _Misfit from error
    out[1].extend([event.value for event in events])
    find = table.rows.get
    for event in events:
        spelling = (event.name, bytes(event.labels))
        row = find(spelling)
        out[2].append(_add_series(spelling, table, settings) if row is None else row)


def _decode(data: bytes) -> list[_Event]:
    start = data[:64].lstrip()[:1]
    if start == b"{":
        try:
            return [_one.decode(data)]
        except msgspec.ValidationError:
            batch = _batch.decode(data)
            if batch.v != 1 or not batch.events:
                raise _Misfit from None
            return batch.events
    events = _many.decode(data)
    if not events:
        raise _Misfit
    return events


def _add_series(spelling: tuple[str, bytes], table: SeriesTable, settings: TelemetrySettings) -> int:
    name, labels = spelling
    try:
        decoded = msgspec.json.decode(labels)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _Misfit from error
    checked = check_event(
        {"ts": EARLIEST, "value": 0.0, "name": name, "labels": decoded}, settings.max_text, settings.max_labels
    )
    if isinstance(checked, BadEvent):
        raise _Misfit
    return table.add(spelling, checked.name, checked.labels)


def _slow(
    index: int, data: bytes, table: SeriesTable, settings: TelemetrySettings, out: _Lists, rejected: list[Rejected]
) -> None:
    """Append the good events of a message that the fast way could not take, and a reason for each other one."""
    events = read_events(data, settings.max_message_bytes)
    if isinstance(events, BadEvent):
        rejected.append(Rejected(index, events.reason, events.detail, data))
        return
    bad: list[Rejected] = []
    for event in events:
        checked = check_event(event, settings.max_text, settings.max_labels)
        if isinstance(checked, BadEvent):
            value = data if len(events) == 1 else event_bytes(event)
            bad.append(Rejected(index, checked.reason, checked.detail, value))
            continue
        spelling = (checked.name, msgspec.json.encode(checked.labels))
        row = table.rows.get(spelling)
        out[0].append(checked.ts)
        out[1].append(checked.value)
        out[2].append(table.add(spelling, checked.name, checked.labels) if row is None else row)
    rejected += _bounded(bad)


def _bounded(bad: list[Rejected]) -> list[Rejected]:
    """The rejected events of one message, those after the first `SINGLE_REJECTS` as one entry per reason."""
    rest: dict[Reason, list[Rejected]] = {}
    for one in bad[SINGLE_REJECTS:]:
        rest.setdefault(one.reason, []).append(one)
    return bad[:SINGLE_REJECTS] + [replace(several[0], count=len(several)) for several in rest.values()]


def _within_time(columns: Columns, table: SeriesTable) -> Columns:
    """Reject events before 2000 or after 2100: a clock in other units, or none."""
    absurd = (columns.times < EARLIEST) | (columns.times >= LATEST)
    return reject_rows(columns, absurd, table, Reason.ABSURD_TIME) if absurd.any() else columns


def reject_rows(columns: Columns, rows: NDArray[np.bool_], table: SeriesTable, reason: Reason) -> Columns:
    """Move the marked rows to `rejected`, with the event written anew from its columns."""
    moved = [
        Rejected(
            int(columns.messages[row]),
            reason,
            f"event time {columns.times[row]:.3f}",
            table.event_bytes(int(columns.ids[row]), float(columns.times[row]), float(columns.values[row])),
        )
        for row in np.flatnonzero(rows)
    ]
    keep = ~rows
    return Columns(
        columns.times[keep],
        columns.values[keep],
        columns.ids[keep],
        columns.messages[keep],
        [*columns.rejected, *moved],
    )


class FutureGuard:
    """Judges event times against the partition's own past and the wall clock; keeps the highest time accepted."""

    def __init__(self, settings: TelemetrySettings, lateness: float, high_mark: float = -np.inf) -> None:
        self._max_future = settings.max_future
        self._lateness = lateness
        self.high_mark = high_mark
        """Highest event time accepted so far; minus infinity before the first event."""

    def too_far(self, times: Floats, now: float) -> NDArray[np.bool_]:
        """Mark the rows beyond `max(watermark, now) + max_future`, each judged after all accepted before it; moves on."""
        marks = np.zeros(len(times), np.bool_)
        top = float(times.max(initial=-np.inf))
        ahead = np.inf if self._max_future is None else self._max_future
        if top <= max(self.high_mark - self._lateness, now) + ahead:
            self.high_mark = max(self.high_mark, top)
            return marks
        for row, time in enumerate(times.tolist()):
            if time > max(self.high_mark - self._lateness, now) + ahead:
                marks[row] = True
            else:
                self.high_mark = max(self.high_mark, time)
        return marks
