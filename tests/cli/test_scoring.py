"""`sentinel score`: a row out for a row in, whatever the files hold."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from sentinel.cli.score import seconds
from tests.cli.running import sentinel

START = datetime(2026, 11, 2, tzinfo=UTC).timestamp()


def values(count=400):
    made = 100 + np.random.default_rng(1).standard_normal(count)
    made[300] = 160
    return made.round(4).tolist()


def write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def scores(path: Path) -> list[tuple[str, str, float]]:
    with path.open(newline="") as lines:
        return [(row["timestamp"], row["value"], float(row["anomaly_score"])) for row in csv.DictReader(lines)]


def stamp(form: str, i: int) -> str:
    time = START + 300 * i
    match form:
        case "iso":
            return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S")
        case "zone":
            return datetime.fromtimestamp(time, UTC).isoformat()
        case "milliseconds":
            return str(int(time * 1000))
        case _:
            return str(time)


@pytest.mark.parametrize("form", ["iso", "zone", "seconds", "milliseconds"])
@pytest.mark.parametrize("header", ["timestamp,value", "When,How much,label", None])
def test_every_time_and_header_gives_the_same_scores(tmp_path, form, header):
    lines = [f"{stamp(form, i)},{value},x" for i, value in enumerate(values())]
    write(tmp_path / "in" / "deep" / "er" / "a.csv", ([header] if header else []) + lines)
    result = sentinel("score", "--input", tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert "1 files, 400 rows, 1 alerts" in result.stdout
    found = scores(tmp_path / "out" / "deep" / "er" / "a.csv")
    assert len(found) == 400
    assert [i for i, row in enumerate(found) if row[2] >= 1.0] == [300]
    assert found[7][:2] == (stamp(form, 7), str(values()[7]))


def test_bad_rows_are_counted_and_come_out_with_zero(tmp_path):
    lines = [f"{stamp('iso', i)},{value}" for i, value in enumerate(values())]
    lines[10] = stamp("iso", 10) + ","
    lines[20] = stamp("iso", 20) + ",NaN"
    lines[30] = "yesterday,5"
    lines[40] = "nothing"
    lines[50] = stamp("iso", 50) + ',"1e999"'
    lines.insert(60, "")
    write(tmp_path / "in" / "a.csv", ["t,v", *lines])
    write(tmp_path / "in" / "empty.csv", [])
    write(tmp_path / "in" / "header.csv", ["t,v"])
    result = sentinel("score", "--input", tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert "5 of 400 rows have no usable time or value" in result.stderr
    found = scores(tmp_path / "out" / "a.csv")
    assert len(found) == 400
    assert all(found[i][2] == 0 for i in (10, 20, 30, 40, 50))
    assert found[300][2] >= 1.0
    assert (tmp_path / "out" / "a.csv").read_text().count("\n") == 402
    assert scores(tmp_path / "out" / "empty.csv") == scores(tmp_path / "out" / "header.csv") == []


def test_twice_the_same_and_its_own_output_is_left_alone(tmp_path):
    write(tmp_path / "a.csv", ["t,v", *(f"{stamp('iso', i)},{value}" for i, value in enumerate(values()))])
    for _ in range(2):
        assert "1 files" in sentinel("score", "--input", tmp_path, "--out", tmp_path / "scored").stdout
    first = (tmp_path / "scored" / "a.csv").read_bytes()
    sentinel("score", "--input", tmp_path, "--out", tmp_path / "scored")
    assert (tmp_path / "scored" / "a.csv").read_bytes() == first
    refused = sentinel("score", "--input", tmp_path, "--out", tmp_path)
    assert refused.exit_code == 2
    assert "give another" in refused.stderr


def test_another_configuration(tmp_path):
    write(tmp_path / "in" / "a.csv", ["t,v", *(f"{stamp('iso', i)},{value}" for i, value in enumerate(values()))])
    own = tmp_path / "sentinel.yaml"
    own.write_text('detection:\n  rules:\n    none: {match: {names: ["other"]}}\n')
    refused = sentinel("score", "--input", tmp_path / "in", "--out", tmp_path / "out", "--config", own)
    assert refused.exit_code == 2
    assert "no rule" in refused.stderr
    own.write_text("detection:\n  detectors:\n    fused: {kind: fused, level: 1000}\n")
    found = sentinel("score", "--input", tmp_path / "in", "--out", tmp_path / "out", "--config", own)
    assert "0 alerts" in found.stdout


def test_times_in_every_unit():
    assert {seconds("1700000000"), seconds("1700000000000"), seconds("1700000000000000"), seconds("1.7e18")} == {1.7e9}
    assert seconds("2023-11-14T22:13:20Z") == seconds("2023-11-14 23:13:20+01:00") == 1.7e9
