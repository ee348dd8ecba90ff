"""`sentinel demo` as a user runs it: it ends by itself, with every expectation held, and leaves something to look at."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCENES = {"a. ", "b. ", "c. ", "d. ", "e. ", "f. ", "the end"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def sentinel(cwd: Path, *arguments: str | Path, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
    """`sentinel ARGUMENTS` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "sentinel.cli.app", *map(str, arguments)],
        cwd=cwd, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=seconds, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder where a demo ran, and how it ended."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, sentinel(folder, "demo", "--state", folder / "state", seconds=300)


def test_every_expectation_holds(played) -> None:
    folder, demo = played
    assert demo.returncode == 0, demo.stdout[-6000:] + demo.stderr[-2000:]
    counts = re.search(r"(\d+) expectations held, (\d+) failed, in \d+ s", demo.stdout)
    assert counts
    assert int(counts[1]) >= 30
    assert counts[2] == "0"
    assert "FAILED" not in demo.stdout
    table = demo.stdout[demo.stdout.index("\nExpectations") :]
    assert all(scene in table for scene in SCENES), "a scene was left out"
    assert table.count("its card in Slack was posted and updated to verified") == 2
    for name in ("asked", "verified"):
        assert (folder / "state" / f"slack-card-{name}.png").read_bytes().startswith(b"\x89PNG")
    assert not demo.stderr
    assert [path.name for path in folder.iterdir()] == ["state"], "nothing outside of --state"


def test_what_it_points_to_afterwards_works(played) -> None:
    folder, demo = played
    lines = re.findall(r"^  sentinel (.*)$", demo.stdout[demo.stdout.index("Where to look next") :], re.MULTILINE)
    assert len(lines) == 5
    for line in lines:
        done = sentinel(folder, *line.split())
        assert done.returncode == 0, f"{line}: {done.stderr}"
        assert done.stdout
    surge = next(line for line in lines if " explain " in line)
    assert "matches the seasonal baseline" in sentinel(folder, *surge.split()).stdout


def test_its_incidents_and_its_audit_are_left_behind(played) -> None:
    folder, _ = played
    config = folder / "state" / "sentinel.yaml"
    incidents = json.loads(sentinel(folder, "-c", config, "incidents", "list", "--json").stdout)
    assert len(incidents) >= 5
    recurring = [incident for incident in incidents if incident["recurrence_of"]]
    assert recurring, "the bad deploy came twice"
    verdict = json.loads(sentinel(folder, "-c", config, "audit", "verify", "--json").stdout)
    assert verdict["ok"]
    assert verdict["unanchored"] == 0
