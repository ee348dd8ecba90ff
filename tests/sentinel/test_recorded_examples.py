"""The shipped recorded series: readable, in the order of time, with their labels inside and their licence beside them."""

from __future__ import annotations

import csv
import json
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "recorded"
LABELS = json.loads((FOLDER / "labels.json").read_text())


def test_every_series_has_labels_and_a_line_in_the_readme_and_the_licence_is_there() -> None:
    assert set(LABELS) == {path.name for path in FOLDER.glob("*.csv")}
    readme = (FOLDER / "README.md").read_text()
    assert all(name in readme for name in LABELS)
    assert "Numenta" in (FOLDER / "LICENSE.txt").read_text()


@pytest.mark.parametrize("name", sorted(LABELS))
def test_a_series_is_finite_ordered_and_holds_its_labelled_windows(name: str) -> None:
    with (FOLDER / name).open(newline="") as file:
        rows = list(csv.DictReader(file))
    times = [datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC) for row in rows]
    assert len(times) > 4000
    assert times == sorted(times)
    assert all(math.isfinite(float(row["value"])) for row in rows)
    label = LABELS[name]
    assert label["service"]
    assert label["metric"]
    assert label["windows"]
    for window in label["windows"]:
        start, end = (datetime.fromisoformat(window[edge]) for edge in ("start", "end"))
        assert times[0] <= start < end <= times[-1]
