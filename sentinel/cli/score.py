"""`sentinel score`: score recorded files with the shipped rules, offline, by the detectors of the live flow."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentinel.cli.output import EXIT_USAGE, errors, exit_codes, fail, say
from sentinel.errors import ConfigError, PermanentError

if TYPE_CHECKING:
    from operators.rules import DetectionSettings
    from operators.scoring import Scored

_HEADER = ("timestamp", "value", "anomaly_score")
_SCALES = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""Epoch times from this size on are nano-, micro- or milliseconds: divided by this they are seconds."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A file as it is: `cells[n]` the first two cells of each row, None for an empty line; times and values, NaN where bad."""

    cells: list[tuple[str, str] | None]
    times: list[float]
    values: list[float]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("score")(score)


@exit_codes
def score(
    context: typer.Context,
    source: Annotated[
        Path, typer.Option("--input", help="Folder with CSV files, at any depth.", exists=True, file_okay=False)
    ],
    target: Annotated[Path, typer.Option("--out", help="Folder for the scored files, under the same relative paths.")],
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Configuration file. Default: the shipped rules.")
    ] = None,
) -> None:
    """Score every *.csv below a folder: first column a time, second a value, one window per row.

    Times are ISO 8601 (UTC without a zone) or epoch seconds (also milli-, micro-, nanoseconds). The same relative path
    comes out with a row per row and the columns timestamp, value and anomaly_score: 1.0 and above means that an alert
    fires at that row, 0 that the series warms up, that the alert is suppressed, or that the row has no usable value.
    Rows are taken in order of time, and come out in the order of the file. Nothing is looked up ahead or per file.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    settings = _settings(config or context.obj)
    files = _files(source, target)
    rows = alerts = bad = 0
    bar = Progress(
        TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=errors, transient=True
    )
    with bar:
        for file in bar.track(files):
            recorded = read(file)
            scored = _scored(settings, recorded)
            write(target / file.relative_to(source), recorded, scored)
            rows, alerts, bad = rows + len(recorded.times), alerts + len(scored.alerts), bad + scored.skipped
    if bad:
        errors.print(f"warning: {bad} of {rows} rows have no usable time or value; they score 0", highlight=False)
    say(f"{len(files)} files, {rows} rows, {alerts} alerts")


def read(path: Path) -> Recorded:
    """Read a file with any header or none. Raises `PermanentError` when it cannot be read as text."""
    cells: list[tuple[str, str] | None] = []
    times, values = [], []
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
            for number, row in enumerate(csv.reader(lines)):
                if not row:
                    cells.append(None)
                    continue
                first, second = row[0], row[1] if len(row) > 1 else ""
                time, value = seconds(first), _number(second)
                if number == 0 and not math.isfinite(time) and not math.isfinite(value):
                    continue
                cells.append((first, second))
                times.append(time)
                values.append(value)
    except (OSError, csv.Error) as error:
        raise PermanentError(f"{path}: cannot be read: {error}") from error
    return Recorded(cells, times, values)


def seconds(text: str) -> float:
    """Epoch seconds of a time as text; NaN when it is none.

    >>> seconds("1970-01-01 00:01:00"), seconds("60"), seconds("1700000000500"), seconds("soon")
    (60.0, 60.0, 1700000000.5, nan)
    """
    time = _number(text)
    if math.isfinite(time):
        return next((time / scale for least, scale in _SCALES if abs(time) >= least), time)
    try:
        at = datetime.fromisoformat(text.strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return math.nan


def write(path: Path, recorded: Recorded, scored: Scored) -> None:
    """Write the rows with their scores; empty lines stay empty lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scores = iter(scored.scores.tolist())
    with path.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(_HEADER)
        writer.writerows([] if row is None else (*row, f"{next(scores):.6g}") for row in recorded.cells)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _settings(config: Path | None) -> DetectionSettings:
    from operators.rules import DetectionSettings
    from sentinel.cli.settings import load_settings

    return load_settings(config).detection if config else DetectionSettings()


def _files(source: Path, target: Path) -> list[Path]:
    """The files to score, in the order of their paths; what an earlier run wrote below `source` is none of them."""
    if target.resolve() == source.resolve():
        fail("--out is the folder of --input; give another, so that the recorded files stay as they are", EXIT_USAGE)

    def found() -> Iterator[Path]:
        for path in sorted(source.rglob("*.csv")):
            if path.is_file() and not path.resolve().is_relative_to(target.resolve()):
                yield path

    return list(found())


def _scored(settings: DetectionSettings, recorded: Recorded) -> Scored:
    import numpy as np

    from operators.scoring import NoRuleError, score_series

    try:
        return score_series(settings, np.array(recorded.times, np.float64), np.array(recorded.values, np.float64))
    except NoRuleError as error:
        raise ConfigError(str(error)) from error
