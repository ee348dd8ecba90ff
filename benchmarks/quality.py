"""How good detection is on labelled data with the shipped configuration, beside simple detectors alone.

    .venv/bin/python benchmarks/quality.py [--shared DIR] [--config FILE] [--only-fused] [--json FILE]

Three sets of labelled series (NAB v1.1, Microsoft's cloud monitoring data, the Web Service Dataset) with their scorers lie
in the folder `shared` beside the checkout; they are no part of this repository. Every detector is measured at ONE fixed
threshold, the same for all series (a score of 1.0), and at the best threshold that could be found with the labels in hand.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.simple_detectors import SIMPLE, Detector, with_onset
from operators.blocks import Floats
from operators.rules import DetectionSettings
from operators.scoring import score_series
from sentinel.cli.score import seconds
from sentinel.cli.settings import load_settings

DEFAULT_SHARED = Path(__file__).parents[1].parent / "shared"
SETS = ("nab", "mscloud", "wsd")
FLOORS = {"nab": 67.0, "mscloud": 0.53, "wsd": 0.64}
"""What the shipped configuration must reach at its one threshold; `tests/benchmarks` looks."""
MOST_ALERTS = {"mscloud": 0.20, "wsd": 0.40}
"""Alerts per series and day that it may give for that."""
EVENTS_THRESHOLDS = 40
MOST_ROWS = 0.01
"""Share of rows that may fire at the best threshold of events: the scorer joins alerts, so that one that never ends finds
every event and counts once."""

Result = dict[str, float]
Series = dict[str, tuple[Floats, Floats]]
"""Times and values by the file's path below its set."""


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """One set: its series, and how scores by path become numbers at a threshold (None: the best one)."""

    name: str
    series: Series
    corpus: Any
    scorer: ModuleType

    def measure(self, scores: dict[str, Floats], threshold: float | None) -> Result:
        """The figures of the set."""
        if self.name == "nab":
            found = self.corpus.score(scores, threshold=threshold)
            standard = found["standard"]
            return {
                "score": standard["score"], "low_fp": found["reward_low_FP_rate"]["score"],
                "low_fn": found["reward_low_FN_rate"]["score"], "windows_hit": standard["windows_hit"],
                "false_rows": standard["fp_rows"], "threshold": standard["threshold"],
            }  # fmt: skip
        filled = [{**each, "score": scores[each["name"]]} for each in self.corpus]
        if threshold is not None:
            return dict(self.scorer.measure(filled, threshold))
        every = np.concatenate([each["score"] for each in filled])
        every = every[every > 0]
        if not len(every):
            return dict(self.scorer.measure(filled, 1.0))
        wanted = np.unique(np.quantile(every, 1 - np.logspace(-4.5, 0, EVENTS_THRESHOLDS)))
        rows = sum(len(each["score"]) for each in filled)
        sweep = [each for each in wanted if (every >= each).sum() <= MOST_ROWS * rows] or [wanted[-1]]
        return max((dict(self.scorer.measure(filled, each)) for each in sweep), key=lambda one: one["f1"])


def main(argv: list[str] | None = None) -> int:
    """Print the table; exit code 2 when the data is not there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=DEFAULT_SHARED, help="folder with datasets/ and tools/")
    parser.add_argument("--config", type=Path, help="configuration file instead of the shipped rules")
    parser.add_argument("--only-fused", action="store_true", help="leave the simple detectors out")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    arguments = parser.parse_args(argv)
    reason = missing(arguments.shared)
    if reason:
        print(reason, file=sys.stderr)
        return 2
    settings = load_settings(arguments.config).detection if arguments.config else DetectionSettings()
    detectors: dict[str, Detector] = {"shipped (fused)": shipped(settings)}
    if not arguments.only_fused:
        detectors |= SIMPLE
        detectors |= {f"{name}, onsets": with_onset(each) for name, each in SIMPLE.items()}
    report = evaluate([load(arguments.shared, name) for name in SETS], detectors)
    Console(width=132).print(table(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def missing(shared: Path) -> str:
    """Why the benchmark cannot run; empty when it can."""
    wanted = [shared / "tools" / "nab_score.py", *(shared / "datasets" / name for name in SETS)]
    absent = [str(path) for path in wanted if not path.exists()]
    return f"no labelled data: {', '.join(absent)} missing; give the folder with --shared" if absent else ""


def shipped(settings: DetectionSettings) -> Detector:
    """The rules of a configuration as a detector."""
    return lambda times, values: score_series(settings, times, values).scores


def load(shared: Path, name: str) -> LabelledSet:
    """Read one set with its labels and its scorer."""
    root = shared / "datasets" / name
    if name == "nab":
        scorer = _tool(shared / "tools" / "nab_score.py")
        corpus = scorer.NabCorpus(str(root))
        return LabelledSet(name, {file: _read(root / "data" / file)[:2] for file in corpus.files}, corpus, scorer)
    scorer = _tool(shared / "tools" / "event_score.py")
    series, facts = {}, []
    for path in sorted(root.glob("*/*.csv")):
        times, values, labels = _read(path)
        relative = str(path.relative_to(root))
        series[relative] = (times, values)
        facts.append(_facts(scorer, relative, times, labels))
    return LabelledSet(name, series, facts, scorer)


def evaluate(sets: list[LabelledSet], detectors: dict[str, Detector]) -> dict[str, Any]:
    """Figures by detector and set: at the fixed threshold, at the best one, and microseconds a row."""
    report: dict[str, Any] = {}
    for name, detector in detectors.items():
        report[name] = {}
        for each in sets:
            start = time.process_time()
            scores = {path: detector(*columns) for path, columns in each.series.items()}
            spent = time.process_time() - start
            rows = sum(len(values) for _, values in each.series.values())
            report[name][each.name] = {
                "fixed": each.measure(scores, 1.0), "best": each.measure(scores, None), "us_per_row": 1e6 * spent / rows
            }  # fmt: skip
    return report


def table(report: dict[str, Any]) -> Table:
    """The figures for a person."""
    made = Table(title="One fixed threshold for every series (in brackets: the best threshold, found with the labels)")
    made.add_column("detector")
    for name in ("NAB standard", "low FP", "low FN", "mscloud F1", "alerts/day", "wsd F1", "alerts/day", "us a row"):
        made.add_column(name, justify="right")
    for name, sets in report.items():
        nab, ms, wsd = (sets[each] for each in SETS)
        events = [
            cell
            for one in (ms, wsd)
            for cell in (_both(one, "f1", "{:.2f}"), f"{one['fixed']['alerts_per_series_day']:.2f}")
        ]
        made.add_row(
            name, _both(nab, "score", "{:.1f}"), _both(nab, "low_fp", "{:.1f}"), _both(nab, "low_fn", "{:.1f}"), *events,
            f"{wsd['us_per_row']:.2f}",
        )  # fmt: skip
    return made


def _both(one: dict[str, Result], key: str, form: str) -> str:
    return f"{form.format(one['fixed'][key])} ({form.format(one['best'][key])})"


def _facts(scorer: ModuleType, name: str, times: Floats, labels: Floats) -> dict[str, Any]:
    """What the scorer of events knows of a series, as its own `load` makes it."""
    step = float(np.median(np.diff(times)))
    hourly = step >= 3600
    events = scorer.join(scorer.runs(labels > 0), 2 if hourly else 30)
    warm = max(140, min(int(0.15 * len(times)), 750))
    return {
        "name": name, "step": step, "warm": warm, "gap": 3 if hourly else 60, "grace": 1 if hourly else 10, "events": events
    }  # fmt: skip


def _read(path: Path) -> tuple[Floats, Floats, Floats]:
    with path.open(newline="") as file:
        _, *rows = list(csv.reader(file))
    labels = [float(row[2]) if len(row) > 2 else 0.0 for row in rows]
    return np.array([seconds(row[0]) for row in rows]), np.array([float(row[1]) for row in rows]), np.array(labels)


def _tool(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
