"""The helper scripts: the right Python is found, stale generated files are seen, lock files carry nothing local."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def shim(folder: Path, name: str, line: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def find_python(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    script = ROOT / "scripts" / "find_python.sh"
    path = {"PATH": f"{folder}:/usr/bin:/bin"}
    return subprocess.run(
        ["/bin/sh", script], env={**path, **env}, capture_output=True, text=True, check=False, cwd=folder
    )


def test_a_python_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    shim(tmp_path, "python3.12", "exit 127")
    shim(tmp_path, "python3.11", f'exec {sys.executable} "$@"')
    assert find_python(tmp_path).stdout.strip() == str(tmp_path / "python3.11")


def test_a_python_of_another_version_is_refused_with_the_remedy(tmp_path: Path) -> None:
    for name in ("python3.12", "python3.11", "python3"):
        shim(tmp_path, name, "exit 1")
    done = find_python(tmp_path)
    assert done.returncode == 1
    assert "Python 3.11 or 3.12" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_the_chosen_python_comes_first(tmp_path: Path) -> None:
    shim(tmp_path, "mine", f'exec {sys.executable} "$@"')
    shim(tmp_path, "python3.12", f'exec {sys.executable} "$@"')
    assert find_python(tmp_path, PYTHON=str(tmp_path / "mine")).stdout.strip() == str(tmp_path / "mine")


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_pins_and_hashes_everything_and_names_no_host_or_path(name: str) -> None:
    text = (ROOT / name).read_text()
    entries = re.split(r"\n(?=[a-z0-9])", text.split("\n", 2)[2])
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[a-z0-9.\-]+==\S+ ", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]
    assert not re.search(r"https?:|file:|--index|--find-links|/tmp|/home|/root", text)


def test_both_lock_files_agree() -> None:
    pins = [dict(re.findall(r"^([a-z0-9.\-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE)) for name in LOCKS]
    runtime, dev = pins
    assert runtime.items() <= dev.items()


@pytest.mark.parametrize(("on_disk", "stale"), [("same\n", False), ("older\n", True), (None, True)])
def test_a_generated_file_that_is_out_of_date_is_seen(tmp_path: Path, *, on_disk: str | None, stale: bool) -> None:
    names = runpy.run_path(str(ROOT / "scripts" / "check_generated.py"))
    if on_disk is not None:
        (tmp_path / "file").write_text(on_disk)
    assert bool(names["difference"](os.fspath(tmp_path / "file"), "same\n")) is stale
