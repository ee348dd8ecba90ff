"""What is tuned on: recorded files with their labels, or the last days of the archive."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from operators.backtesting import Recorded
from sentinel.cli.archived import open_archive
from sentinel.cli.replaying import labels_of
from sentinel.cli.settings import Settings
from sentinel.errors import PermanentError
from sentinel.recorded import read_recording
from sentinel.series import Series, Window


@dataclass(frozen=True)
class Recordings:
    """Series with their points, and the faults that people marked in some of them."""

    series: list[Recorded]
    faults: dict[Series, Sequence[Window]] = field(default_factory=dict)

    def of(self, series: Series) -> Recorded:
        """The points of one series."""
        return next(recorded for recorded in self.series if recorded[0] == series)


def read_recordings(source: Path, labels: Path | None) -> Recordings:
    """Read a CSV file, or every *.csv below a folder. A series is named by `labels.json` beside it, else by its path.

    `labels` is a JSON file from path (relative to the folder) to a list of [start, end], as NAB's combined windows; files
    that it does not name have no faults. Raises `PermanentError` with `file:line`.
    """
    root = source if source.is_dir() else source.parent
    files = sorted(source.rglob("*.csv")) if source.is_dir() else [source]
    if not files:
        raise PermanentError(f"{source}: holds no *.csv")
    marked = _read_labels(labels) if labels else {}
    found: list[Recorded] = []
    faults: dict[Series, Sequence[Window]] = {}
    for file in files:
        name = file.relative_to(root)
        beside = labels_of(file)
        series = Series.of(beside.metric or "value", {"service": beside.service or str(name.with_suffix(""))})
        recording = read_recording(file, series)
        found.append((series, recording.times, recording.values))
        if labels:
            faults[series] = marked.get(name.as_posix(), ())
        elif beside.windows:
            faults[series] = beside.faults
    return Recordings(found, faults)


def read_archive(settings: Settings, days: float, now: float) -> Recordings:
    """The last days of every series in the archive; `now` is where they end."""
    with open_archive(settings) as archive:
        found: list[Recorded] = []
        for series in archive.find("", ""):
            times, values = archive.read(series, now - days * 86400.0, now)
            found.append((series, np.array(times), np.array(values)))
    kept = [recorded for recorded in found if len(recorded[1])]
    if not kept:
        raise PermanentError(f"the archive has no events of the last {days:g} days")
    return Recordings(kept)


def _read_labels(path: Path) -> dict[str, list[Window]]:
    try:
        read: dict[str, list[list[Any]]] = json.loads(path.read_text())
        return {name: [Window(_epoch(start), _epoch(end)) for start, end in rows] for name, rows in read.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise PermanentError(f"{path}:1: labels are a JSON object from file to [start, end] pairs: {error}") from error


def _epoch(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    at = datetime.fromisoformat(value)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
