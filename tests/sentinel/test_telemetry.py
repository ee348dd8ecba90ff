"""Telemetry parsing: the documented forms, one reason per kind of mistake, and never an exception."""

from __future__ import annotations

import json
import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.series import Series
from sentinel.telemetry import SINGLE_REJECTS, Columns, FutureGuard, TelemetrySettings, parse_messages
from sentinel.telemetry_events import Reason
from sentinel.telemetry_series import SeriesTable

GOOD = {"ts": 1_700_000_000.5, "name": "error_ratio", "value": 0.02, "labels": {"service": "cart", "env": "prod"}}
CART = Series.of("error_ratio", {"service": "cart", "env": "prod"})
SETTINGS = TelemetrySettings()


def parse(*messages: bytes) -> tuple[Columns, SeriesTable]:
    table = SeriesTable()
    return parse_messages(messages, table, SETTINGS), table


def changed(**fields: object) -> dict[str, object]:
    return {**GOOD, **fields}


def without(field: str) -> dict[str, object]:
    return {key: value for key, value in GOOD.items() if key != field}


@pytest.mark.parametrize(
    "message",
    [
        json.dumps(GOOD),
        json.dumps([GOOD]),
        json.dumps({"v": 1, "events": [GOOD]}),
        "  \n" + json.dumps(GOOD),
        json.dumps(changed(ts="2023-11-14T22:13:20.5Z")),
        json.dumps(changed(ts="2023-11-14T23:13:20.5+01:00")),
        json.dumps(changed(labels={"env": "prod", "service": "cart"})),
        json.dumps(changed(more={"fields": ["are", "ignored"]})),
        json.dumps(GOOD)[:-1] + ', "value": 0.02}',
    ],
)
def test_every_documented_form_gives_the_same_event(message):
    columns, table = parse(message.encode())
    assert columns.rejected == []
    assert columns.times.tolist() == [1_700_000_000.5]
    assert columns.values.tolist() == [0.02]
    assert [table.series[row] for row in columns.ids] == [CART]
    assert table.hashes[columns.ids].tolist() == [CART.hash]


DEEP = "[" * 100_000

BAD = [
    (b"", Reason.NOT_JSON),
    (b"\xff\xfe", Reason.NOT_JSON),
    (b'{"ts": 1', Reason.NOT_JSON),
    (json.dumps(GOOD).encode() + b"x", Reason.NOT_JSON),
    (json.dumps(GOOD).encode("utf-16"), Reason.NOT_JSON),
    (b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), Reason.NOT_JSON),
    (DEEP.encode(), Reason.NOT_JSON),
    (b"null", Reason.NOT_AN_EVENT),
    (b"17", Reason.NOT_AN_EVENT),
    (b'"text"', Reason.NOT_AN_EVENT),
    (b"[]", Reason.NOT_AN_EVENT),
    (b'{"v": 1, "events": []}', Reason.NOT_AN_EVENT),
    (b'{"v": 1, "events": {}}', Reason.NOT_AN_EVENT),
    (json.dumps({"v": 2, "events": [GOOD]}).encode(), Reason.NOT_AN_EVENT),
    (json.dumps({"v": True, "events": [GOOD]}).encode(), Reason.NOT_AN_EVENT),
    (json.dumps({"events": [GOOD]}).encode(), Reason.NOT_AN_EVENT),
    (b"{}", Reason.MISSING_FIELD),
    *[(json.dumps(without(field)).encode(), Reason.MISSING_FIELD) for field in GOOD],
    (json.dumps(changed(name="")).encode(), Reason.MISSING_FIELD),
    (json.dumps(changed(value=True)).encode(), Reason.BAD_TYPE),
    (json.dumps(changed(value="1.5")).encode(), Reason.BAD_TYPE),
    (json.dumps(changed(value=None)).encode(), Reason.BAD_TYPE),
    (json.dumps(changed(ts=False)).encode(), Reason.BAD_TYPE),
    (json.dumps(changed(ts="2023-11-14T22:13:20")).encode(), Reason.BAD_TYPE),
    (json.dumps(changed(ts="yesterday")).encode(), Reason.BAD_TYPE),
    (json.dumps(changed(name=7)).encode(), Reason.BAD_TYPE),
    (json.dumps(changed(name="\ud800")).encode(), Reason.BAD_TYPE),
    (json.dumps(changed(labels=[])).encode(), Reason.BAD_TYPE),
    (json.dumps(changed(labels={"service": "cart", "n": 1})).encode(), Reason.BAD_TYPE),
    (json.dumps(changed(labels={"service": "a\0b"})).encode(), Reason.BAD_TYPE),
    (json.dumps(changed(value=float("nan"))).encode(), Reason.NOT_FINITE),
    (json.dumps(changed(value=float("-inf"))).encode(), Reason.NOT_FINITE),
    (json.dumps(GOOD).replace("0.02", "1e999").encode(), Reason.NOT_FINITE),
    (json.dumps(GOOD).replace("0.02", "1" + "0" * 400).encode(), Reason.NOT_FINITE),
    (json.dumps(GOOD).replace("0.02", "1" + "0" * 9000).encode(), Reason.NOT_FINITE),
    (json.dumps(changed(ts=float("inf"))).encode(), Reason.NOT_FINITE),
    (json.dumps(changed(ts=1_700_000_000_500)).encode(), Reason.ABSURD_TIME),
    (json.dumps(changed(ts=0)).encode(), Reason.ABSURD_TIME),
    (json.dumps(changed(ts="1999-12-31T23:59:59Z")).encode(), Reason.ABSURD_TIME),
    (json.dumps(changed(labels={})).encode(), Reason.MISSING_SERVICE),
    (json.dumps(changed(labels={"service": ""})).encode(), Reason.MISSING_SERVICE),
    (json.dumps(changed(name="n" * 257)).encode(), Reason.TOO_LARGE),
    (json.dumps(changed(labels={"service": "s" * 257})).encode(), Reason.TOO_LARGE),
    (json.dumps(changed(labels={"service": "s", "k" * 257: ""})).encode(), Reason.TOO_LARGE),
    (json.dumps([GOOD] * 12_000).encode(), Reason.TOO_LARGE),
    (json.dumps(changed(labels={"service": "s", **{f"k{i}": "" for i in range(32)}})).encode(), Reason.TOO_MANY_LABELS),
]


@pytest.mark.parametrize(("message", "reason"), BAD, ids=lambda value: str(value)[:40])
def test_each_mistake_has_its_reason_and_spares_its_neighbours(message, reason):
    good = json.dumps(GOOD).encode()
    columns, _ = parse(good, message, good)
    assert [(bad.message, bad.reason) for bad in columns.rejected] == [(1, reason)]
    assert columns.messages.tolist() == [0, 2]
    assert len(columns.rejected[0].detail) <= 300
    if reason is not Reason.ABSURD_TIME:
        assert columns.rejected[0].value == message


def test_a_bad_event_of_a_batch_is_rejected_alone():
    batch = [GOOD, changed(value=float("nan")), changed(name="latency"), changed(value="1"), changed(ts=5), GOOD]
    columns, table = parse(json.dumps(batch).encode())
    assert [table.series[row].name for row in columns.ids] == ["error_ratio", "latency", "error_ratio"]
    assert [bad.reason for bad in columns.rejected] == [Reason.NOT_FINITE, Reason.BAD_TYPE, Reason.ABSURD_TIME]
    assert [json.loads(bad.value) for bad in columns.rejected[1:]] == [changed(value="1"), changed(ts=5.0)]
    assert b"NaN" in columns.rejected[0].value


def test_a_message_of_many_bad_events_gives_few_entries_that_count_them_all():
    columns, _ = parse(json.dumps([1] * 5000 + [changed(value="x")] * 300 + [GOOD]).encode())
    assert len(columns.times) == 1
    assert len(columns.rejected) == SINGLE_REJECTS + 2
    counts = {bad.reason: 0 for bad in columns.rejected}
    for bad in columns.rejected:
        counts[bad.reason] += bad.count
    assert counts == {Reason.NOT_AN_EVENT: 5000, Reason.BAD_TYPE: 300}


def test_rejected_is_everything_that_is_not_accepted():
    values = [message for message, _ in BAD] * 3
    columns, _ = parse(*values)
    assert len(columns.times) == 0
    assert [bad.message for bad in columns.rejected if bad.reason is not Reason.ABSURD_TIME] == [
        index for index, (_, reason) in enumerate(BAD * 3) if reason is not Reason.ABSURD_TIME
    ]


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**400)
junk = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(max_size=8), scalars, max_size=3)
fields = st.fixed_dictionaries(
    {},
    optional={
        "ts": st.just(1_700_000_000) | junk,
        "name": st.just("error_ratio") | junk,
        "value": st.just(1.5) | junk,
        "labels": st.just({"service": "cart"}) | st.dictionaries(st.sampled_from(["service", "env"]), scalars) | junk,
        "v": st.just(1) | junk,
        "events": junk,
    },
)


def damaged(chance: random.Random) -> bytes:
    """A message of the list of mistakes, or a good one, cut, doubled, joined, overwritten or replaced by noise."""
    text = bytearray(
        chance.choice([json.dumps(GOOD).encode(), json.dumps([GOOD, GOOD]).encode(), chance.choice(BAD)[0][:999]])
    )
    for _ in range(chance.randint(0, 3)):
        at = chance.randint(0, len(text))
        match chance.randint(0, 4):
            case 0:
                del text[at:]
            case 1:
                text[at:at] = chance.randbytes(chance.randint(1, 4))
            case 2:
                text[at : at + 1] = chance.choice(
                    [b"{", b"[", b'"', b":", b",", b"NaN", b"-Infinity", b"1e999", b"\\ud800"]
                )
            case 3:
                text[at:at] = text[:at]
            case _:
                text[:] = chance.randbytes(chance.randint(0, 60))
    return bytes(text)


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_ten_thousand_malformed_messages_are_all_counted(seed):
    chance = random.Random(seed)
    batch = [damaged(chance) for _ in range(500)]
    columns, table = parse(*batch)
    seen = set(columns.messages.tolist()) | {bad.message for bad in columns.rejected}
    assert seen == set(range(len(batch)))
    assert all(bad.reason in Reason and bad.detail for bad in columns.rejected)
    assert np.isfinite(columns.times).all()
    assert np.isfinite(columns.values).all()
    for row in columns.ids:
        series = table.series[row]
        assert series.service
        assert series.key.encode()


@settings(max_examples=300)
@given(fields)
def test_the_fast_and_the_slow_way_agree(event):
    text = json.dumps(event).encode()
    fast, fast_table = parse(text)
    slow, slow_table = parse(b"[" + text + b', {"name": NaN}]')
    if "events" in event and "ts" not in event:
        return  # a batch, which no batch can hold
    assert [bad.reason for bad in fast.rejected] == [
        bad.reason for bad in slow.rejected if bad.value != b'{"name": NaN}'
    ]
    assert fast.times.tolist() == slow.times.tolist()
    assert fast.values.tolist() == slow.values.tolist()
    assert [fast_table.series[i] for i in fast.ids] == [slow_table.series[i] for i in slow.ids]


def test_the_table_is_bounded_and_starts_anew():
    table = SeriesTable(limit=10)
    for index in range(12):
        parse_messages([json.dumps(changed(labels={"service": f"s{index}"})).encode()], table, SETTINGS)
    assert table.trim()
    assert len(table.series) == len(table.hashes) == 0
    parse_messages([json.dumps(GOOD).encode()], table, SETTINGS)
    assert table.series == [CART]
    assert not table.trim()


def test_the_table_grows():
    table = SeriesTable()
    names = [json.dumps(changed(name=f"m{index}")).encode() for index in range(3000)]
    columns = parse_messages(names, table, SETTINGS)
    assert [table.series[row].name for row in columns.ids] == [f"m{index}" for index in range(3000)]
    assert table.hashes.tolist() == [series.hash for series in table.series]


def test_far_future_is_judged_against_watermark_and_wall_clock():
    guard = FutureGuard(TelemetrySettings(max_future=100.0), lateness=10.0)
    assert guard.too_far(np.array([1000.0, 1090.0, 1181.0, 1095.0]), now=1000.0).tolist() == [False, False, True, False]
    assert guard.high_mark == 1095.0
    assert guard.too_far(np.array([1185.0, 1186.0, 1275.0]), now=0.0).tolist() == [False, False, False]
    assert guard.too_far(np.array([1366.0]), now=0.0).tolist() == [True]
    assert guard.high_mark == 1275.0


def test_replays_are_exempt_from_the_future():
    guard = FutureGuard(TelemetrySettings(max_future=None), lateness=10.0)
    assert not guard.too_far(np.array([4e9]), now=0.0).any()


def test_parsing_stays_under_two_microseconds_per_event_at_a_hundred_per_message():
    events = [changed(labels={"service": f"s{i % 50}", "env": "prod"}, value=i / 7) for i in range(100)]
    block = [json.dumps(events).encode()] * 100
    table = SeriesTable()
    parse_messages(block, table, SETTINGS)
    best = min(_cpu_seconds(block, table) for _ in range(5))
    assert best / 10_000 < 2e-6


def _cpu_seconds(block, table):
    started = time.process_time()
    parse_messages(block, table, SETTINGS)
    return time.process_time() - started
