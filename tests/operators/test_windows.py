"""Windows: equal to a plain reference for any cut of the stream, across restarts, and honest about what they leave out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.blocks import ShardBlock
from operators.rules import Aggregate, DetectionSettings
from operators.windows import Windows
from tests.operators.detection_samples import MONDAY, cut, series, windows_reference

NAMES = ("error_ratio", "latency_p95_seconds", "requests_per_second")


def sum_of(values):
    total = 0.0
    for value in values:
        total += value
    return total


OF: dict[Aggregate, Callable[[list[float]], float]] = {
    Aggregate.MEAN: lambda v: sum_of(v) / len(v), Aggregate.SUM: sum_of, Aggregate.MIN: min,
    Aggregate.MAX: max, Aggregate.LAST: lambda v: v[-1], Aggregate.COUNT: len,
}  # fmt: skip


def config(aggregate=Aggregate.MEAN, lateness=5.0, length=60.0, **more):
    rule = {"window": length, "aggregate": aggregate}
    return DetectionSettings.model_validate({"rules": {"all": rule}, "vectors": {}, "lateness": lateness, **more})


def block_of(events, end_mark):
    """Events (time, value, name index) in arrival order as one block; marks as a partition would see them."""
    owners = [series(NAMES[key]) for _, _, key in events]
    times = np.array([time for time, _, _ in events])
    marks = np.maximum.accumulate(times) if events else times
    return ShardBlock(
        "0/0", times, np.array([value for _, value, _ in events], float), np.array([o.hash for o in owners], np.uint64),
        np.arange(2 * len(events), dtype=np.uint64).reshape(-1, 2), marks, end_mark, [(o.hash, o) for o in dict.fromkeys(owners)],
    )  # fmt: skip


events_strategy = st.lists(
    st.tuples(st.integers(-90, 90), st.floats(-1e6, 1e6), st.integers(0, 2)), min_size=1, max_size=120
).map(lambda steps: [(MONDAY + 20.0 * i + jitter, value, key) for i, (jitter, value, key) in enumerate(steps)])


def rows_of(windows, blocks):
    closed = [windows.feed(block) for block in blocks]
    names = {a.slot: a.series.name for each in closed for a in each.assigned}
    return [
        (float(end), names[int(slot)], float(value), int(count), int(trace[1]))
        for each in closed
        for end, slot, value, count, trace in zip(
            each.ends, each.slots, each.values, each.counts, each.traces, strict=True
        )
    ]


@settings(max_examples=60, deadline=None)
@given(
    events_strategy,
    st.sampled_from(list(Aggregate)),
    st.sampled_from([0.0, 5.0, 70.0, 200.0]),
    st.lists(st.integers(1, 119)),
)
def test_windows_equal_the_reference_for_any_cut(events, aggregate, lateness, cuts):
    end_mark = max(time for time, _, _ in events) + 45
    whole = block_of(events, end_mark)
    windows = Windows(config(aggregate, lateness))
    rows = rows_of(windows, cut([whole], cuts))
    marked = [(t, v, NAMES[k], m) for (t, v, k), m in zip(events, whole.high_marks.tolist(), strict=True)]
    expected, late = windows_reference(marked, 60.0, lateness, end_mark)
    assert {(end, name): (value, count) for end, name, value, count, _ in rows} == {
        place: (OF[aggregate](values), len(values)) for place, values in expected.items()
    }
    assert windows.counters["late"] == late
    assert rows_of(Windows(config(aggregate, lateness)), [whole]) == rows  # order and traces included


@settings(max_examples=30, deadline=None)
@given(events_strategy, st.lists(st.integers(1, 119), min_size=1), st.integers(0, 3))
def test_a_restart_between_blocks_changes_nothing(events, cuts, at):
    blocks = cut([block_of(events, events[-1][0] + 300)], cuts)
    at = min(at, len(blocks) - 1)
    straight = Windows(config())
    expected = [straight.feed(block) for block in blocks]
    first = Windows(config())
    got = [first.feed(block) for block in blocks[:at]]
    second = Windows(config())
    second.restore(first.snapshot())
    got += [second.feed(block) for block in blocks[at:]]
    for one, other in zip(expected, got, strict=True):
        assert one.values.tolist() == other.values.tolist()
        assert one.slots.tolist() == other.slots.tolist()
        assert one.traces.tolist() == other.traces.tolist()
    assert straight.counters == second.counters


def test_windows_of_several_lengths_close_in_order_of_their_end():
    own = DetectionSettings.model_validate(
        {"rules": {"e": {"match": {"names": ["error*"]}, "window": 300}, "rest": {"window": 60}}, "vectors": {}}
    )
    events = [(MONDAY + 10.0 * i, 1.0, i % 2) for i in range(200)]
    rows = rows_of(Windows(own), cut([block_of(events, MONDAY + 2400)], [33, 150]))
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert {row[3] for row in rows if row[1] == "error_ratio" and row[0] <= MONDAY + 1800} == {15}


def test_a_series_in_a_vector_rule_has_a_window_of_each():
    own = DetectionSettings.model_validate({"lateness": 0})
    events = [(MONDAY + 60.0 * i, float(i), i % 2) for i in range(60)]
    windows = Windows(own)
    closed = windows.feed(block_of(events, MONDAY + 3600))
    by_rule = {a.slot: a for a in closed.assigned}
    groups = [a for a in closed.assigned if a.rule == "service_vector" and a.group < 0]
    assert [a.series.name for a in groups] == ["service_vector"]
    lengths = {
        by_rule[slot].rule: end - start
        for slot, start, end in zip(closed.slots, closed.starts, closed.ends, strict=True)
    }
    assert lengths == {"errors": 60, "latency": 60, "service_vector": 900}


def test_more_series_than_the_cap_are_refused_and_counted():
    windows = Windows(config(max_series=2))
    windows.feed(block_of([(MONDAY + i, 1.0, i % 3) for i in range(9)], MONDAY + 9))
    assert (windows.counters["refused"], windows.counters["unknown"]) == (1, 3)


def test_a_hash_with_another_series_is_counted_and_not_merged():
    windows = Windows(config())
    first = block_of([(MONDAY, 1.0, 0)], MONDAY)
    windows.feed(first)
    windows.feed(
        ShardBlock(
            "0/0", *(np.empty(0),) * 2, np.empty(0, np.uint64), np.empty((0, 2), np.uint64), np.empty(0), MONDAY,
            [(series(NAMES[0]).hash, series(NAMES[1]))],
        )
    )  # fmt: skip
    assert windows.counters["collided"] == 1


def test_an_idle_series_is_forgotten_and_its_slot_used_again():
    windows = Windows(config(idle_after=12 * 3600))
    windows.feed(block_of([(MONDAY, 1.0, 0), (MONDAY, 1.0, 1)], MONDAY))
    late = MONDAY + 13 * 3600
    windows.feed(block_of([(late, 1.0, 1)], late))
    later = block_of([(late + 60, 1.0, 1), (late + 60, 2.0, 2)], late + 200)
    assigned = windows.feed(later).assigned
    assert [(a.slot, a.rule) for a in assigned] == [(0, ""), (0, "all")]
    assert windows.counters["evicted"] == 1


def test_many_series_grow_every_table():
    owners = [series(service=f"s{i}") for i in range(1000)]
    times = np.full(1000, MONDAY)
    block = ShardBlock(
        "0/0", times, np.arange(1000.0), np.array([o.hash for o in owners], np.uint64), np.zeros((1000, 2), np.uint64), times,
        MONDAY + 100, [(o.hash, o) for o in owners],
    )  # fmt: skip
    windows = Windows(config())
    assert windows.feed(block).values.tolist() == list(range(1000))
    again = Windows(config())
    again.restore(windows.snapshot())
    assert again.counters["unknown"] == 0


@pytest.mark.parametrize("lateness", [0.0, 30.0])
def test_a_longer_lateness_after_a_restart_keeps_open_windows(lateness):
    first = Windows(config(lateness=lateness))
    first.feed(block_of([(MONDAY + 5, 7.0, 0)], MONDAY + 5))
    second = Windows(config(lateness=500.0))
    second.restore(first.snapshot())
    rows = rows_of_values(second.feed(block_of([(MONDAY + 6, 9.0, 0)], MONDAY + 1000)))
    assert rows == [(MONDAY + 60, 8.0)]


def rows_of_values(block):
    return list(zip(block.ends.tolist(), block.values.tolist(), strict=True))


@pytest.mark.parametrize(("mark", "late"), [(MONDAY + 65, 1), (MONDAY + 64, 0)])
def test_a_window_is_closed_from_the_moment_its_lateness_is_over(mark, late):
    windows = Windows(config(lateness=5.0))
    events = [(MONDAY + 1, 1.0, 0), (mark, 9.0, 0), (MONDAY + 2, 3.0, 0)]
    closed = windows.feed(block_of(events, MONDAY + 100))
    assert windows.counters["late"] == late
    assert rows_of_values(closed) == [(MONDAY + 60, 1.0 if late else 2.0)]
