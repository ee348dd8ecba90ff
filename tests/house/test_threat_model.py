"""The threat model names tests as its evidence: each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "threat-model.md"


def named(text: str) -> set[str]:
    return set(re.findall(r"`(test_[a-z0-9_]+)`", text))


def defined() -> set[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    return {
        name
        for file in files
        for name in re.findall(r"^def (test_\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE)
    }


def test_every_test_that_the_threat_model_names_exists() -> None:
    wanted = named(PAGE.read_text(encoding="utf-8"))
    assert len(wanted) > 40
    assert wanted - defined() == set()


def test_every_defence_in_a_table_names_a_test() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    defences = [row for row in rows if "shown by" not in row and row.count("|") == 3]
    bare = [row for row in defences if not named(row)]
    assets = [row for row in bare if row.split("|")[1].strip() in {"asset", *ASSETS}]
    assert bare == assets


def test_a_name_that_is_gone_would_be_seen() -> None:
    assert named("| x | `test_that_nobody_wrote` |") - defined() == {"test_that_nobody_wrote"}


ASSETS = (
    "the power to act on production",
    "a person's decision",
    "the record",
    "keys and tokens",
    "the truth about an incident",
)
