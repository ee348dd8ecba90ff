"""How flows run: the recovery store's rules, the product's own errors, the collector, the groups of partitions."""

from __future__ import annotations

import gc
import json
import pickle
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource

from dataflows.recovery import recovery_store
from dataflows.running import FlowSettings, calm_collector, run_flow, stop_on_signals
from dataflows.sources import partitions_of_group
from sentinel.errors import ConfigError, PermanentError, StorePathBusyError, TransientError

LAYOUT = {"partitions": 4, "sub_shards": 4}


def counting(items, out, fail_at=None):
    def step(state, item):
        if item == fail_at:
            raise TransientError("away")
        total = (state or 0) + item
        return total, total

    flow = Dataflow("counting")
    keyed = op.key_on("key", op.input("in", flow, TestingSource(items)), lambda _: "all")
    op.output("out", op.key_rm("rm", op.stateful_map("count", keyed, step)), TestingSink(out))
    return flow


def quiet():
    """The same flow, with a source of another name that ends at once: no key is awake in its epoch."""
    flow = Dataflow("counting")
    op.output("silence", op.input("nothing", flow, TestingSource([])), TestingSink([]))
    return flow


def test_state_goes_on_in_the_next_run(tmp_path):
    out: list[int] = []
    run_flow(counting([1, 2, TestingSource.EOF(), 3], out), tmp_path, LAYOUT, FlowSettings())
    run_flow(counting([1, 2, TestingSource.EOF(), 3], out), tmp_path, LAYOUT, FlowSettings())
    assert out == [1, 3, 6]


def test_an_error_of_the_product_comes_out_as_itself(tmp_path):
    with pytest.raises(TransientError, match="away"):
        run_flow(counting([1, 2], [], fail_at=2), tmp_path, LAYOUT, FlowSettings())


def test_another_layout_is_refused_with_what_changed(tmp_path):
    with recovery_store(tmp_path, LAYOUT):
        pass
    with (
        pytest.raises(ConfigError, match="sub_shards was 4, is 8"),
        recovery_store(tmp_path, {**LAYOUT, "sub_shards": 8}),
    ):
        pass


def test_a_store_that_was_half_made_is_made_anew(tmp_path):
    with recovery_store(tmp_path, LAYOUT):
        pass
    (tmp_path / "layout.json").unlink()
    with recovery_store(tmp_path, LAYOUT):
        assert json.loads((tmp_path / "layout.json").read_text()) == LAYOUT


def test_snapshots_of_an_epoch_that_was_not_finished_are_forgotten(tmp_path):
    out: list[int] = []
    items = [1, 2, TestingSource.EOF(), 3, TestingSource.EOF(), 4]
    run_flow(counting(items, out), tmp_path, LAYOUT, FlowSettings())
    with closing(sqlite3.connect(tmp_path / "snapshots" / "part-0.sqlite3")) as store, store:
        (step, epoch), *_ = store.execute("SELECT step_id, snap_epoch FROM snaps WHERE state_key = 'all'").fetchall()
        unfinished = epoch + 1  # as a kill leaves it behind, when the step had snapshotted and others had not
        future = pickle.dumps(1000)
        store.execute("INSERT INTO snaps (step_id, state_key, snap_epoch, ser_change) VALUES (?, 'all', ?, ?)",
                      (step, unfinished, future))  # fmt: skip
    run_flow(quiet(), tmp_path, LAYOUT, FlowSettings())
    run_flow(counting(items, out), tmp_path, LAYOUT, FlowSettings())
    assert out == [1, 3, 6]


@pytest.mark.slow
def test_a_store_belongs_to_one_process(tmp_path):
    code = (
        "import sys, pathlib\n"
        "from dataflows.recovery import recovery_store\n"
        "with recovery_store(pathlib.Path(sys.argv[1]), {'partitions': 4, 'sub_shards': 4}):\n"
        "    print('open', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"open\n"
        with pytest.raises(StorePathBusyError, match="another process runs the flow"), recovery_store(tmp_path, LAYOUT):
            pass
        owner.communicate()
    with recovery_store(tmp_path, LAYOUT):
        pass


def test_the_collector_is_as_before_afterwards():
    before = gc.get_threshold()
    with calm_collector():
        assert gc.get_threshold()[0] == 200_000
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == before


def test_groups_share_the_partitions():
    assert sorted(p for group in range(3) for p in partitions_of_group(8, group, 3)) == list(range(8))
    for count, group, groups in ((4, 4, 4), (4, 0, 5), (4, -1, 2)):
        with pytest.raises(PermanentError, match="partition group"):
            partitions_of_group(count, group, groups)


def test_only_the_main_thread_sets_signals():
    failed: list[type[Exception]] = []

    def ask() -> None:
        try:
            stop_on_signals(threading.Event())
        except ValueError as error:
            failed.append(type(error))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert failed == [ValueError]
