"""Embedded stores and processes: one owner per path, nothing lost when it is killed."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinel.errors import PermanentError, StorePathBusyError
from sentinel.stores.history.opening import open_history
from sentinel.stores.memory.opening import open_embedder, open_memory
from tests.sentinel.stores.owner_process import SERIES, remembered
from tests.services.processes import Process

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


@pytest.fixture
def acknowledged(tmp_path: Path) -> Path:
    return tmp_path / "acknowledged.txt"


@pytest.fixture
def owner(tmp_path: Path, acknowledged: Path) -> Iterator[Process]:
    """Another process that holds `chdb://history` and `edge://memory` below `tmp_path` and writes to them."""
    script = Path(__file__).with_name("owner_process.py")
    command: list[str | Path] = [sys.executable, script, tmp_path, acknowledged]
    process = Process(command, tmp_path / "owner.log", env={"PYTHONPATH": str(ROOT)})
    process.start(lambda: acknowledged.exists() and len(acknowledged.read_text().splitlines()) >= 20)
    yield process
    process.kill()


def test_what_was_acknowledged_outlives_a_kill(owner: Process, acknowledged: Path, tmp_path: Path) -> None:
    owner.kill()
    written = [int(line) for line in acknowledged.read_text().splitlines()]
    history = open_history("chdb://history", tmp_path)
    memory = open_memory("edge://memory", tmp_path, open_embedder("hashed"))
    try:
        values = history.read(SERIES, 0, 2e9).values.tolist()
        # The kill may have come between a write and its acknowledgement.
        assert len(written) <= len(values) <= len(written) + 1
        assert values[: len(written)] == [float(number) for number in written]
        assert len(written) <= memory.count() <= len(written) + 1
        assert all(memory.set_outcome(f"inc-{number}", "verified", "restart cart") for number in written)
        memory.remember(remembered(10_000_000))
    finally:
        history.close()
        memory.close()


def test_a_second_process_is_told_who_owns_the_history_and_what_to_do(owner: Process, tmp_path: Path) -> None:
    with pytest.raises(StorePathBusyError) as caught:
        open_history("chdb://history", tmp_path)
    text = str(caught.value)
    assert f"PID: {owner.pid}" in text
    assert "clickhouse://" in text
    assert "compose.yaml" in text
    owner.kill()
    open_history("chdb://history", tmp_path).close()


def test_a_second_process_is_told_that_the_memory_is_owned_and_what_to_do(owner: Process, tmp_path: Path) -> None:
    with pytest.raises(StorePathBusyError) as caught:
        open_memory("edge://memory", tmp_path, open_embedder("hashed"))
    assert "http://host:6333" in str(caught.value)
    assert "compose.yaml" in str(caught.value)
    owner.kill()
    open_memory("edge://memory", tmp_path, open_embedder("hashed")).close()


def test_a_process_holds_one_history_path_and_says_so(tmp_path: Path) -> None:
    first = open_history("chdb://one", tmp_path)
    again = open_history("chdb://one", tmp_path)
    with pytest.raises(PermanentError, match="different path"):
        open_history("chdb://two", tmp_path)
    first.close()
    again.check()
    again.close()
    open_history("chdb://two", tmp_path).close()


def _try_to_open(state_dir: Path, answers: multiprocessing.Queue[str]) -> None:
    try:
        open_history("chdb://history", state_dir).close()
        answers.put("opened")
    except StorePathBusyError:
        answers.put("busy")


def test_a_child_may_be_spawned_beside_an_open_history(tmp_path: Path) -> None:
    """Forking would hang in the engine's locks; spawning is what Sentinel does."""
    history = open_history("chdb://history", tmp_path)
    spawn = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[str] = spawn.Queue()
    try:
        child = spawn.Process(target=_try_to_open, args=(tmp_path, answers))
        child.start()
        assert answers.get(timeout=60) == "busy"
        child.join(60)
        assert child.exitcode == 0
        history.check()
    finally:
        history.close()
        answers.close()
        answers.join_thread()


def test_a_directory_that_is_no_memory_is_named(tmp_path: Path) -> None:
    embedder = open_embedder("hashed")
    folder = tmp_path / "memory" / f"incidents-{embedder.name}"
    folder.mkdir(parents=True)
    with pytest.raises(PermanentError, match="cannot open") as caught:
        open_memory("edge://memory", tmp_path, embedder)
    assert str(folder) in str(caught.value)
