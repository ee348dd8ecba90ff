"""How often the ranking of suspects names the injected root cause: the 68 faults of the PetShop data set.

    .venv/bin/python benchmarks/root_cause.py [--data DIR] [--json FILE] [--verbose]

PetShop (Amazon, CC-BY-4.0, github.com/amazon-science/petshop-root-cause-analysis) holds 5-minute metrics of 41
components with their call graph. Each fault's metrics become alerts by a plain rule, the same for all:
a row of the slice against its first row, which lies before the fault, and against the fault-free day. The target's dependencies that fire are
ranked by `operators.suspects` as shipped. There are no changes in the data, so that evidence is not measured. The
temporal sets come here without a fault-free day; that of `low_traffic` stands in.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from operators.incident_settings import SuspectSettings
from operators.incident_topology import dependencies
from operators.suspects import rank
from sentinel.alerts import FaultKind, Severity, WindowVerdict
from sentinel.catalogue import ServiceCatalogue
from sentinel.incidents import IncidentAlert
from sentinel.series import Series

Columns = dict[tuple[str, str], NDArray[np.float64]]
"""Values by (component, metric), one per row of the file; NaN where nothing was measured."""

METRICS = {
    ("latency", "Average"): (FaultKind.LATENCY, +1.0),
    ("availability", "Average"): (FaultKind.ERRORS, -1.0),
}
"""Metric and statistic that are looked at, the kind of fault that they show, and the direction that is bad."""

THRESHOLD = 3.0
TAIL = 0.99
"""Three spreads reach from the fault-free median to this share of the fault-free values."""

FLOOR: dict[FaultKind, Callable[[float], float]] = {
    FaultKind.LATENCY: lambda usual: max(0.05 * usual, 1e-4),
    FaultKind.ERRORS: lambda _usual: 0.3,
}
"""The smallest spread: 5 % of a latency, 0.3 points of an availability in per cent."""

STEP = 300.0
DEFAULT_DATA = Path(__file__).parents[1].parent / "shared" / "datasets" / "petshop"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the ranking said of one fault; `place` is 1 for the first suspect, 0 when the cause is not among them."""

    fault: str
    target: str
    cause: str
    place: int
    suspects: list[str]


def main(argv: list[str] | None = None) -> int:
    """Print the table; exit code 2 when the data is not there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder of the data set")
    parser.add_argument("--json", type=Path, help="write the numbers and every answer to this file")
    parser.add_argument("--verbose", action="store_true", help="print every fault that is missed")
    arguments = parser.parse_args(argv)
    if not (arguments.data / "dataset").is_dir():
        print(f"no data set in {arguments.data}; give its folder with --data", file=sys.stderr)
        return 2
    answers = measure(arguments.data)
    Console(width=100).print(_table(answers))
    if arguments.verbose:
        for answer in answers:
            if answer.place != 1:
                print(answer.fault, answer.target, "cause", answer.cause, "place", answer.place, answer.suspects[:4])
    if arguments.json:
        report = {"accuracy": accuracy(answers), "answers": [asdict(answer) for answer in answers]}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def measure(data: Path) -> list[Answer]:
    """Rank the suspects of every fault of the data set, in the order of their folders."""
    answers = []
    for folder in sorted((data / "dataset").iterdir()):
        quiet = folder / "noissue" / "metrics.csv"
        normal = read_metrics(quiet if quiet.exists() else data / "dataset" / "low_traffic" / "noissue" / "metrics.csv")
        catalogue = read_graph(folder / "graph.csv")
        answers += [_answer(issue, normal, catalogue) for issue in sorted(folder.glob("*/issue_*"))]
    return answers


def accuracy(answers: list[Answer]) -> dict[str, dict[str, float]]:
    """Faults, and the share of them with the cause first or among three, by target metric, by train or test, and in all."""
    groups: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        split = answer.fault.split("/")[1]
        for name in (answer.target, split, "all"):
            groups[name].append(answer)
    return {
        name: {
            "faults": len(found),
            "top_1": sum(answer.place == 1 for answer in found) / len(found),
            "top_3": sum(1 <= answer.place <= 3 for answer in found) / len(found),
            "found": sum(answer.place > 0 for answer in found) / len(found),
        }
        for name, found in groups.items()
    }


def read_metrics(path: Path) -> Columns:
    """The metrics of one file; its first three rows name component, metric and statistic of each column."""
    with path.open(newline="") as file:
        components, metrics, statistics, *rows = list(csv.reader(file))
    values = np.array([[float(cell or "nan") for cell in row] for row in rows if row[0].replace(".", "").isdigit()])
    return {
        (component, metric): values[:, column]
        for column, (component, metric, statistic) in enumerate(zip(components, metrics, statistics, strict=True))
        if (metric, statistic) in METRICS
    }


def read_graph(path: Path) -> ServiceCatalogue:
    """The call graph: a row calls the columns that are not zero."""
    with path.open(newline="") as file:
        (_, *names), *rows = list(csv.reader(file))
    calls = {row[0]: [name for name, cell in zip(names, row[1:], strict=True) if float(cell)] for row in rows}
    return ServiceCatalogue.model_validate({"services": {name: {"calls": calls.get(name, [])} for name in names}})


def find_alerts(slice_: Columns, normal: Columns) -> list[IncidentAlert]:
    """What fires in a slice: a row that is worse than usual and worse than the row before the fault, by three spreads."""
    found = []
    for (component, metric), values in slice_.items():
        kind, bad = METRICS[(metric, "Average")]
        usual = bad * normal.get((component, metric), np.zeros(0))
        usual = usual[~np.isnan(usual)]
        before, during = bad * values[0], bad * values[1:]
        if usual.size < 12 or np.isnan(during).all():
            continue
        middle, tail = float(np.median(usual)), float(np.quantile(usual, TAIL))
        spread = max((tail - middle) / THRESHOLD, FLOOR[kind](abs(middle)))
        deviations = (during - max(middle, before if not math.isnan(before) else middle)) / spread
        deviations[np.isnan(deviations)] = -math.inf
        if deviations.max() > THRESHOLD:
            onset = float(np.argmax(deviations > THRESHOLD) + 1) * STEP
            found.append(_alert(component, metric, kind, float(deviations.max()), onset))
    return found


def _alert(component: str, metric: str, kind: FaultKind, score: float, onset: float) -> IncidentAlert:
    return IncidentAlert(
        alert_id=f"{component}-{metric}",
        series=Series.of(metric, {"service": component}),
        rule=metric,
        kind=kind,
        severity=Severity.WARNING,
        firing=True,
        verdict=WindowVerdict.ABNORMAL,
        resolution=None,
        onset_at=onset,
        fired_at=onset + STEP,
        last_window_end=onset + STEP,
        value=None,
        expected=None,
        score=score,
        threshold=THRESHOLD,
        text="",
        window_seconds=STEP,
    )


def _answer(issue: Path, normal: Columns, catalogue: ServiceCatalogue) -> Answer:
    facts = json.loads((issue / "target.json").read_text())
    target, cause = facts["target"], facts["root_cause"]["node"]
    below = dependencies(catalogue, target["node"], 8)
    firing = [a for a in find_alerts(read_metrics(issue / "metrics.csv"), normal) if a.series.service in below]
    suspects = [suspect.service for suspect in rank(firing, catalogue, (), SuspectSettings())]
    place = suspects.index(cause) + 1 if cause in suspects else 0
    fault = "/".join(issue.parts[-3:])
    return Answer(fault, target["metric"], cause, place, suspects)


def _table(answers: list[Answer]) -> Table:
    table = Table(title="Root cause named by the ranking of suspects (PetShop)")
    for name in ("faults of", "n", "first", "among 3", "ranked at all"):
        table.add_column(name, justify="left" if name == "faults of" else "right")
    for name, numbers in accuracy(answers).items():
        shares = (f"{numbers[key]:.2f}" for key in ("top_1", "top_3", "found"))
        table.add_row(name, f"{numbers['faults']:.0f}", *shares)
    return table


if __name__ == "__main__":
    sys.exit(main())
