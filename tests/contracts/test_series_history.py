"""What every `SeriesHistory` does: ClickHouse in this process, and the same engine behind HTTP."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sentinel.decisions import Decision, decision_id
from sentinel.errors import PermanentError
from sentinel.incidents import Change
from sentinel.series import Series
from sentinel.stores.history.clickhouse import ClickHouseHistory
from sentinel.stores.history.opening import open_history
from sentinel.stores.history.protocol import Points
from sentinel.stores.history.settings import HistorySettings

T0 = 1_700_000_040.0  # a Tuesday evening, on a full minute
ERRORS = Series.of("error_ratio", {"service": "cart", "env": "prod"})
LATENCY = Series.of("latency_p95_seconds", {"service": "cart", "env": "prod"})
OTHER = Series.of("error_ratio", {"service": "checkout", "env": "prod"})

Open = Callable[..., ClickHouseHistory]
_databases = itertools.count()


@pytest.fixture(params=["path", pytest.param("server", marks=pytest.mark.slow)])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the test's own history, as often as the test likes; all are closed at the end."""
    url = "chdb://history"
    if request.param == "server":
        url = request.getfixturevalue("clickhouse_server").url(f"contract_{next(_databases)}")
    opened: list[ClickHouseHistory] = []

    def open_one(**settings: int) -> ClickHouseHistory:
        opened.append(open_history(url, tmp_path, HistorySettings(**settings)))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def history(open_store: Open) -> ClickHouseHistory:
    return open_store()


def points(*rows: tuple[Series, float, float]) -> Points:
    series, times, values = zip(*rows, strict=True)
    return Points(series, np.array(times, np.float64), np.array(values, np.float64))


def decision(subject: str, at: float, **fields: Any) -> Decision:
    values: dict[str, Any] = {
        "decision_id": decision_id(str(fields.get("stage", "confirm")), subject, at),
        "stage": "confirm",
        "verdict": "fire",
        "reason": "3 of 3 windows above 3.5",
        "decided_at": 1_800_000_000.1234567,
        "config_hash": "abc123",
        **fields,
    }
    return Decision(subject=subject, at=at, **values)


def test_reads_back_in_time_order_with_start_in_and_end_out(history: ClickHouseHistory) -> None:
    history.add_points(points((ERRORS, T0 + 60, 2.0), (ERRORS, T0, 1.0), (OTHER, T0, 9.0), (ERRORS, T0 + 120.5, 3.0)))
    whole = history.read(ERRORS, T0, T0 + 121)
    assert whole.series == ERRORS
    assert whole.times.tolist() == [T0, T0 + 60, T0 + 120.5]
    assert whole.values.tolist() == [1.0, 2.0, 3.0]
    assert history.read(ERRORS, T0, T0 + 60).values.tolist() == [1.0]
    assert history.read(ERRORS, T0 + 0.000001, T0 + 120.5).values.tolist() == [2.0]


def test_an_unknown_series_is_empty(history: ClickHouseHistory) -> None:
    data = history.read(LATENCY, 0, 2e9)
    assert len(data.times) == len(data.values) == 0
    assert len(history.read(LATENCY, 0, 2e9, step=60).times) == 0


def test_an_empty_block_is_nothing(history: ClickHouseHistory) -> None:
    history.add_points(Points([], np.empty(0), np.empty(0)))
    history.add_decisions([])
    assert history.find_series() == []


def test_the_same_point_written_twice_is_read_once(history: ClickHouseHistory, open_store: Open) -> None:
    block = points((ERRORS, T0, 1.0), (ERRORS, T0 + 60, 2.0))
    history.add_points(block)
    history.add_points(block)
    open_store().add_points(block)  # as another process would after a crash: nothing in its cache
    assert history.read(ERRORS, 0, 2e9).values.tolist() == [1.0, 2.0]
    assert history.find_series() == [ERRORS]


def test_a_point_written_twice_weighs_once_in_a_mean(history: ClickHouseHistory) -> None:
    history.add_points(points((ERRORS, T0, 1.0), (ERRORS, T0 + 60, 2.0)))
    history.add_points(points((ERRORS, T0, 1.0)))
    assert history.read(ERRORS, T0, T0 + 120, step=120).values.tolist() == [1.5]


def test_of_two_values_at_one_time_the_last_written_stays(history: ClickHouseHistory) -> None:
    history.add_points(points((ERRORS, T0, 1.0), (ERRORS, T0, 2.0)))
    assert history.read(ERRORS, 0, 2e9).values.tolist() == [2.0]
    history.add_points(points((ERRORS, T0, 3.0)))
    assert history.read(ERRORS, 0, 2e9).values.tolist() == [3.0]


def test_steps_are_means_counted_from_the_start(history: ClickHouseHistory) -> None:
    history.add_points(points(*((ERRORS, T0 + 30 * i, float(i)) for i in range(10))))
    data = history.read(ERRORS, T0 + 30, T0 + 270, step=120)
    assert data.times.tolist() == [T0 + 30, T0 + 150]
    assert data.values.tolist() == [2.5, 6.5]


def test_finds_series_by_service_and_name(history: ClickHouseHistory) -> None:
    history.add_points(points((OTHER, T0, 1.0), (LATENCY, T0, 1.0), (ERRORS, T0, 1.0)))
    assert history.find_series() == sorted([ERRORS, LATENCY, OTHER], key=lambda one: one.key)
    assert history.find_series(service="cart") == [ERRORS, LATENCY]
    assert history.find_series(name="error_ratio") == [ERRORS, OTHER]
    assert history.find_series(service="cart", name="error_ratio") == [ERRORS]
    assert history.find_series(service="nobody") == []


@pytest.mark.parametrize(
    "text",
    [
        "it's",
        'a "b"',
        "back\\slash",
        "two\nlines",
        "tab\there",
        "naïve ☃",
        "{x:String}",
        "%s",
        "'; DROP TABLE points; --",
    ],
)
def test_any_text_is_data(history: ClickHouseHistory, text: str) -> None:
    odd = Series.of(f"change.{text}", {"service": text, text: text})
    history.add_points(points((odd, T0, 1.0)))
    row = decision(text, T0, service=text, reason=text, incident_id=text, stage=text, details={text: text})
    history.add_decisions([row])
    assert history.find_series(service=text, name=f"change.{text}") == [odd]
    assert history.read(odd, 0, 2e9).values.tolist() == [1.0]
    assert [change.labels for change in history.changes([text], 0, 2e9)] == [dict(odd.labels)]
    assert history.decisions(subject=text, service=text, incident_id=text, stage=text) == [row]


def test_change_events_are_changes(history: ClickHouseHistory) -> None:
    first = Series.of("change.deploy", {"service": "cart", "version": "1.2"})
    second = Series.of("change.deploy", {"service": "cart", "version": "1.3"})
    scale = Series.of("change.scale", {"service": "checkout", "replicas": "3"})
    block = points((second, T0 + 60, 1.0), (scale, T0 + 30, 1.0), (first, T0, 1.0), (ERRORS, T0, 1.0))
    history.add_points(block)
    history.add_points(block)
    expected = [
        Change(at=T0, service="cart", kind="deploy", labels={"service": "cart", "version": "1.2"}),
        Change(at=T0 + 30, service="checkout", kind="scale", labels={"service": "checkout", "replicas": "3"}),
        Change(at=T0 + 60, service="cart", kind="deploy", labels={"service": "cart", "version": "1.3"}),
    ]
    assert history.changes([], 0, 2e9) == expected
    assert history.changes(["checkout", "nobody"], 0, 2e9) == [expected[1]]
    assert history.changes([], T0 + 30, T0 + 60) == [expected[1]]
    assert history.changes(["nobody"], 0, 2e9) == []


def test_the_same_deploy_again_later_is_a_second_change(history: ClickHouseHistory) -> None:
    deploy = Series.of("change.deploy", {"service": "cart", "version": "1.2"})
    history.add_points(points((deploy, T0, 1.0), (deploy, T0 + 3600, 1.0)))
    assert [change.at for change in history.changes(["cart"], 0, 2e9)] == [T0, T0 + 3600]


def test_decisions_come_back_as_they_were(history: ClickHouseHistory) -> None:
    row = decision(
        "alr-1",
        T0 + 0.1234567,
        service="cart",
        incident_id="inc-1",
        trace_id="t" * 32,
        details={"score": 4.25, "windows": 3, "late": False, "note": "näh", "none": None},
    )
    history.add_decisions([row])
    history.add_decisions([row])
    assert history.decisions() == [row]


def test_decisions_are_filtered_ordered_and_limited(history: ClickHouseHistory) -> None:
    rows = [
        decision("alr-1", T0 + 20, service="cart", incident_id="inc-1"),
        decision("alr-2", T0, service="checkout", incident_id="inc-1"),
        decision("alr-1", T0 + 10, stage="verify", service="cart"),
    ]
    history.add_decisions(rows)
    late, early, middle = rows
    assert history.decisions() == [early, middle, late]
    assert history.decisions(limit=2) == [early, middle]
    assert history.decisions(subject="alr-1") == [middle, late]
    assert history.decisions(service="cart", stage="verify") == [middle]
    assert history.decisions(incident_id="inc-1", start=T0 + 1) == [late]
    assert history.decisions(start=T0, end=T0 + 10) == [early]


def test_a_decision_written_again_overwrites(history: ClickHouseHistory) -> None:
    history.add_decisions([decision("alr-1", T0, verdict="fire")])
    history.add_decisions([decision("alr-1", T0, verdict="hold")])
    assert [row.verdict for row in history.decisions()] == ["hold"]


def test_one_block_may_hold_many_years(history: ClickHouseHistory) -> None:
    months = [(ERRORS, i * 30 * 86400.0, float(i)) for i in range(400)]
    history.add_points(points(*months))
    assert len(history.read(ERRORS, 0, 2e9).values) == 400


def test_a_block_of_any_size_arrives_whole(history: ClickHouseHistory) -> None:
    """The client cuts it into several frames on the wire; a reader of the first alone would lose the rest."""
    count = 300_000
    times = T0 + np.arange(count, dtype=np.float64)
    history.add_points(Points([ERRORS] * count, times, np.random.default_rng(1).random(count)))
    assert len(history.read(ERRORS, 0, 2e9).values) == count


def test_a_series_is_described_once(history: ClickHouseHistory) -> None:
    for minute in range(5):
        history.add_points(points((ERRORS, T0 + 60 * minute, 1.0)))
    # Every insert takes the next block number, whether or not its part was merged since.
    inserts = "SELECT max(max_block_number) FROM system.parts WHERE database = currentDatabase() AND table = 'series'"
    assert history._open().command(inserts) == 1


def test_replayed_old_data_stay(history: ClickHouseHistory) -> None:
    old = 1_000_000_000.0  # 2001: far beyond any retention, had it counted event time
    history.add_points(points((ERRORS, old, 1.0)))
    history.add_decisions([decision("alr-1", old)])
    for table in ("points", "decisions"):
        history._open().command(f"OPTIMIZE TABLE {table} FINAL")
    assert history.read(ERRORS, 0, 2e9).values.tolist() == [1.0]
    assert len(history.decisions()) == 1


def test_retention_follows_the_settings(open_store: Open) -> None:
    def engine() -> str:
        statement = "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = 'points'"
        return str(open_store(retention_days=days)._open().command(statement))

    for days in (7, 7, 30):
        assert f"toIntervalDay({days})" in engine()


def test_a_full_cache_of_series_forgets_nothing_in_the_store(open_store: Open) -> None:
    history = open_store(known_series=2)
    many = [Series.of("m", {"service": f"s{i:02d}"}) for i in range(10)]
    for _ in range(2):
        history.add_points(points(*((one, T0, 1.0) for one in many)))
    assert history.find_series(name="m") == many


def test_threads_share_one_history(history: ClickHouseHistory) -> None:
    """The archive inserts while enrichment reads."""
    done = threading.Event()

    def insert() -> None:
        try:
            for start in range(0, 10_000, 500):
                history.add_points(points(*((ERRORS, T0 + i, float(i)) for i in range(start, start + 500))))
        finally:
            done.set()

    def read() -> None:
        while not done.is_set():
            values = history.read(ERRORS, T0, T0 + 1e5).values
            assert values.tolist() == [float(i) for i in range(len(values))]
            history.changes([], 0, 2e9)

    with ThreadPoolExecutor(3) as pool:
        for job in [pool.submit(insert), pool.submit(read), pool.submit(read)]:
            job.result()
    assert len(history.read(ERRORS, 0, 2e9).values) == 10_000


def test_data_outlive_the_object(open_store: Open) -> None:
    first = open_store()
    first.add_points(points((ERRORS, T0, 1.0)))
    first.close()
    again = open_store()
    assert again.read(ERRORS, 0, 2e9).values.tolist() == [1.0]
    assert again.find_series() == [ERRORS]


def test_check_answers_until_closed(history: ClickHouseHistory) -> None:
    history.check()
    history.close()
    history.close()
    with pytest.raises(PermanentError, match="after close"):
        history.check()


def test_columns_of_different_length_are_refused(history: ClickHouseHistory) -> None:
    with pytest.raises(PermanentError, match="add points"):
        history.add_points(Points([ERRORS, ERRORS], np.array([T0]), np.array([1.0, 2.0])))
