"""Recorded series in CSV files (`timestamp,value`, as in the Numenta Anomaly Benchmark), ready to be replayed."""

from __future__ import annotations

import csv
import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sentinel.errors import PermanentError
from sentinel.series import Series


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded series, in time order: `times` in epoch seconds and `values` have the same length."""

    series: Series
    times: Sequence[float]
    values: Sequence[float]


def read_recording(path: Path, series: Series) -> Recording:
    """Read a CSV file with a header that names `timestamp` and `value`; other columns are ignored.

    Timestamps are epoch seconds, or ISO 8601 (`2014-02-14 14:27:00`), UTC where no zone is given. Rows are put in time order.
    Raises `PermanentError` with `file:line` and what is wrong there.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(_rows(path, csv.DictReader(lines)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PermanentError(f"{path}: cannot be read: {error}") from error
    if not rows:
        raise PermanentError(f"{path}: has no rows")
    rows.sort(key=lambda row: row[0])
    return Recording(series, [row[0] for row in rows], [row[1] for row in rows])


def in_time_order(recordings: Sequence[Recording]) -> Iterator[tuple[float, Series, float]]:
    """The points of several recordings as one stream in time order: (time, series, value)."""
    streams = [
        [(time, number, value) for time, value in zip(recording.times, recording.values, strict=True)]
        for number, recording in enumerate(recordings)
    ]
    for time, number, value in heapq.merge(*streams):
        yield time, recordings[number].series, value


def _rows(path: Path, reader: csv.DictReader[str]) -> Iterator[tuple[float, float]]:
    header = reader.fieldnames or []
    missing = [name for name in ("timestamp", "value") if name not in header]
    if missing:
        raise PermanentError(f"{path}:1: the header has no column {' and no column '.join(map(repr, missing))}")
    for row in reader:
        place = f"{path}:{reader.line_num}"
        yield _time(place, row["timestamp"]), _value(place, row["value"])


def _time(place: str, text: str | None) -> float:
    try:
        seconds = float(text or "")
    except ValueError:
        return _instant(place, text)
    if not math.isfinite(seconds):
        raise PermanentError(f"{place}: timestamp {text!r} is not finite")
    return seconds


def _instant(place: str, text: str | None) -> float:
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError as error:
        raise PermanentError(f"{place}: timestamp {text!r} is neither epoch seconds nor ISO 8601") from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _value(place: str, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError as error:
        raise PermanentError(f"{place}: value {text!r} is not a number") from error
    if not math.isfinite(value):
        raise PermanentError(f"{place}: value {text!r} is not finite")
    return value
