"""The step `decode` and its logic: columns by sub-shard, high marks, announcements, rejects, recovery."""

from __future__ import annotations

import json
import zlib
from typing import Any

import bytewax.operators as op
import numpy as np
import pytest
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource, run_main
from hypothesis import given
from hypothesis import strategies as st

from operators.blocks import ANNOUNCE_EVERY, RawBlock, ShardBlock
from operators.decode import decode
from operators.decoding import MAX_REJECTED_BYTES, PartitionDecoder, RejectedMessage
from sentinel.series import Series
from sentinel.telemetry import TelemetrySettings
from sentinel.traces import derive_traces

START = 1_700_000_000.0
SETTINGS = TelemetrySettings()
LATENESS = 30.0


def event(ts: float, service: str = "cart", name: str = "error_ratio", value: Any = 1.0) -> dict[str, Any]:
    return {"ts": ts, "name": name, "value": value, "labels": {"service": service}}


def block(*messages: Any, first: int = 0, partition: int = 2, traces: list[bytes | None] | None = None) -> RawBlock:
    values = [message if isinstance(message, bytes) else json.dumps(message).encode() for message in messages]
    return RawBlock(partition, list(range(first, first + len(values))), values, traces or [])


def feed(
    decoder: PartitionDecoder, *messages: Any, now: float = START
) -> tuple[list[ShardBlock], list[RejectedMessage]]:
    return decoder.feed(block(*messages), now)


def new_decoder(**settings: Any) -> PartitionDecoder:
    return PartitionDecoder("telemetry", TelemetrySettings(**settings), LATENESS)


def rows(shards: list[ShardBlock]) -> list[tuple[float, float, int]]:
    return [
        (time, value, series)
        for shard in shards
        for time, value, series in zip(shard.times.tolist(), shard.values.tolist(), shard.series.tolist(), strict=True)
    ]


def test_every_sub_shard_gets_a_block_with_the_partitions_high_mark():
    shards, rejected = feed(new_decoder(), event(START), event(START + 9, "checkout"), event(START + 5))
    assert rejected == []
    assert [shard.shard for shard in shards] == ["2/0", "2/1", "2/2", "2/3"]
    assert {shard.high_mark for shard in shards} == {START + 9}
    for shard in shards:
        for _, series in shard.new_series:
            assert int(shard.shard[2:]) == zlib.crc32(series.service.encode()) % 4
    cart = next(shard for shard in shards if len(shard.times) == 2)
    assert cart.times.tolist() == [START, START + 5]
    assert cart.high_marks.tolist() == [START, START + 9]
    assert cart.new_series == [(series.hash, series) for series in [Series.of("error_ratio", {"service": "cart"})]]


def test_a_series_is_announced_once_and_again_after_hours():
    decoder = new_decoder(max_future=None)
    announced = [
        sum(len(shard.new_series) for shard in feed(decoder, event(START + at))[0])
        for at in (0, 60, ANNOUNCE_EVERY - 1, ANNOUNCE_EVERY, ANNOUNCE_EVERY + 60)
    ]
    assert announced == [1, 0, 0, 1, 0]


def test_a_block_of_many_hours_counts_from_the_first_announcement():
    decoder = new_decoder(max_future=None)
    feed(decoder, event(START), event(START + 5 * ANNOUNCE_EVERY, "checkout"))
    shards, _ = feed(decoder, event(START + ANNOUNCE_EVERY))
    assert sum(len(shard.new_series) for shard in shards) == 1


def test_changes_are_left_to_the_archive_and_do_not_move_time():
    decoder = new_decoder()
    shards, rejected = feed(decoder, event(START + 500, name="change.deploy"), event(START))
    assert rejected == []
    assert [time for time, _, _ in rows(shards)] == [START]
    assert {shard.high_mark for shard in shards} == {START}


def test_far_future_is_rejected_and_does_not_move_the_watermark():
    decoder = new_decoder()
    shards, rejected = feed(decoder, [event(START), event(START + 7200), event(START + 60)])
    assert [time for time, _, _ in rows(shards)] == [START, START + 60]
    assert [(bad.reason, bad.offset) for bad in rejected] == [("far_future", 0)]
    assert json.loads(rejected[0].value) == event(START + 7200)
    assert decoder.watermark == START + 60 - LATENESS


def test_a_replay_is_exempt():
    shards, rejected = feed(new_decoder(max_future=None), event(START + 1e8))
    assert rejected == []
    assert len(rows(shards)) == 1


def test_rejected_messages_name_their_place_and_are_cut():
    large = b'"' + b"x" * (MAX_REJECTED_BYTES + 5) + b'"'
    _, rejected = new_decoder().feed(block(event(START), b"junk", large, first=70), START)
    assert [(bad.reason, bad.topic, bad.partition, bad.offset) for bad in rejected] == [
        ("not_json", "telemetry", 2, 71),
        ("not_an_event", "telemetry", 2, 72),
    ]
    assert rejected[0].value == b"junk"
    assert len(rejected[1].value) == MAX_REJECTED_BYTES


def test_trace_ids_come_from_the_header_or_from_the_place():
    header = b"00-0000000000000001000000000000000a-00f067aa0ba902b7-01"
    raw = block([event(START), event(START)], event(START), event(START), traces=[header, None, b"nonsense"])
    shards, _ = new_decoder().feed(raw, START)
    traces = np.concatenate([shard.traces for shard in shards])
    derived = derive_traces("telemetry", 2, np.arange(3))
    assert traces.tolist() == [[1, 10], [1, 10], derived[1].tolist(), derived[2].tolist()]


def test_an_empty_block_and_only_junk_give_empty_columns():
    decoder = new_decoder()
    for messages in ((), (b"junk", b"")):
        shards, rejected = feed(decoder, *messages)
        assert len(rejected) == len(messages)
        assert [len(shard.times) for shard in shards] == [0, 0, 0, 0]
        assert {shard.high_mark for shard in shards} == {-np.inf}


def test_a_full_table_of_series_starts_anew_and_announces_again():
    decoder = new_decoder(max_known_series=1000)
    feed(decoder, [event(START, name=f"m{number}") for number in range(1001)])
    shards, _ = feed(decoder, event(START, name="m5"))
    assert sum(len(shard.new_series) for shard in shards) == 1
    assert decoder.known_series == 1


@given(st.lists(st.tuples(st.integers(0, 7200), st.sampled_from(["cart", "checkout", "web"])), max_size=40), st.data())
def test_any_cut_into_blocks_gives_the_same_rows(events, data):
    messages = [event(START + at, service) for at, service in events]
    whole = new_decoder()
    expected = _by_shard([whole.feed(block(*messages), START)[0]])
    cut = data.draw(st.integers(0, len(messages)))
    decoder = new_decoder()
    first, _ = decoder.feed(block(*messages[:cut]), START)
    restored = PartitionDecoder("telemetry", SETTINGS, LATENESS, json.loads(json.dumps(decoder.snapshot())))
    second, _ = restored.feed(block(*messages[cut:], first=cut), START)
    assert _by_shard([first, second]) == expected
    assert restored.snapshot() == whole.snapshot()


def _by_shard(fed: list[list[ShardBlock]]) -> dict[str, list[tuple[float, int, float, list[int]]]]:
    found: dict[str, list[tuple[float, int, float, list[int]]]] = {}
    for shards in fed:
        for shard in shards:
            found.setdefault(shard.shard, []).extend(
                zip(
                    shard.times.tolist(),
                    shard.series.tolist(),
                    shard.high_marks.tolist(),
                    shard.traces.tolist(),
                    strict=True,
                )
            )
    return found


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_step_splits_shards_from_rejected(batch_size):
    shards: list[tuple[str, ShardBlock]] = []
    rejected: list[RejectedMessage] = []
    items = [("2", block(event(START), b"junk")), ("2", block(event(START + 1), first=2)), ("0", block(partition=0))]
    flow = Dataflow("test")
    raw = op.input("in", flow, TestingSource(items, batch_size))
    decoded = decode("decode", raw, "telemetry", SETTINGS, LATENESS, lambda: START)
    op.output("shards", decoded.shards, TestingSink(shards))
    op.output("rejected", decoded.rejected, TestingSink(rejected))
    run_main(flow)
    assert [key for key, _ in shards] == [shard.shard for _, shard in shards]
    assert sorted({key for key, _ in shards}) == [f"{partition}/{sub}" for partition in (0, 2) for sub in range(4)]
    assert sum(len(shard.times) for _, shard in shards) == 2
    assert [bad.offset for bad in rejected] == [1]
