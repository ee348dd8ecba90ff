"""The shape of the code: files that a person reads in one sitting, and tests that mirror the rooms as packages."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("sentinel", "operators", "dataflows", "remediation", "api", "benchmarks", "scripts", "tests")
MOST_LINES = 320
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def test_no_file_is_longer_than_one_sitting() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in FILES
        if (lines := path.read_text(encoding="utf-8").count("\n")) > MOST_LINES
    }
    assert not long, f"more than {MOST_LINES} lines: one file, one job"


@pytest.mark.parametrize("room", ["sentinel", "operators", "dataflows", "remediation", "api"])
def test_a_room_says_what_it_is_for_and_ships_its_types(room: str) -> None:
    assert (ROOT / room / "__init__.py").read_text(encoding="utf-8").startswith('"""')
    assert (ROOT / room / "py.typed").exists()
