"""The three steps in a real Bytewax flow: the same alerts as the core, after a stop and a recovery as well."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, TestingSource, run_main

from operators.confirm import confirm
from operators.detect import detect
from operators.rules import DetectionSettings
from operators.shard_core import ShardCore, shard_blocks
from operators.summarize import summarize
from tests.operators.detection_samples import minutes, noisy, one_rule, run, series


def blocks():
    values = noisy(200)
    values[120:150] = 300.0
    return list(shard_blocks([(series(), minutes(200), values), (series("x"), minutes(200), noisy(200, seed=3))], 37))


def flow(source, out, settings: DetectionSettings) -> Dataflow:
    dataflow = Dataflow("detection")
    shards = op.input("in", dataflow, source)
    scored = detect("detect", summarize("summarize", shards, settings), settings)
    op.output("out", confirm("confirm", scored, settings, now=lambda: 0.0), TestingSink(out))
    return dataflow


def alerts_of(out):
    return [message for _, judged in out for message in judged.alerts]


def test_the_flow_says_what_the_core_says():
    out: list[Any] = []
    run_main(flow(TestingSource([(block.shard, block) for block in blocks()]), out, one_rule()))
    assert alerts_of(out) == run(ShardCore(one_rule()), blocks())[0]
    assert len(alerts_of(out)) > 30


def test_the_flow_goes_on_where_it_stopped(tmp_path):
    init_db_dir(tmp_path, 1)
    items: list[Any] = [(block.shard, block) for block in blocks()]
    source = TestingSource([*items[:7], TestingSource.ABORT(), *items[7:]], batch_size=1)
    out: list[Any] = []
    for _ in range(2):
        run_main(
            flow(source, out, one_rule()),
            epoch_interval=timedelta(0),
            recovery_config=RecoveryConfig(str(tmp_path)),
        )
    expected = run(ShardCore(one_rule()), blocks())[0]
    assert list({message.message_id: message for message in alerts_of(out)}.values()) == expected
