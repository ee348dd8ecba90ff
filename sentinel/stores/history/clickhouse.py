"""The series history on ClickHouse: one class, in process or on a server, as `connect` decides."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from clickhouse_connect.driver.client import Client
from numpy.typing import NDArray

from sentinel.decisions import Decision
from sentinel.errors import PermanentError
from sentinel.incidents import Change
from sentinel.series import CHANGE_PREFIX, Series
from sentinel.stores.history.faults import store_errors
from sentinel.stores.history.known_series import KnownSeries
from sentinel.stores.history.protocol import Points, SeriesData
from sentinel.stores.history.schema import DECISION_COLUMNS, POINT_COLUMNS, SERIES_COLUMNS, prepare
from sentinel.stores.history.settings import HistorySettings

_BY_PARTITION = {"do_not_merge_across_partitions_select_final": 1}
"""For reads of `points`: equal keys are always in one partition, so FINAL need not compare across partitions."""

_READ = """
SELECT toUnixTimestamp64Micro(time) AS micros, value FROM points FINAL
WHERE series = {series:UInt64} AND time >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')
  AND time < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
ORDER BY micros
"""

_READ_STEPS = """
SELECT {start:Int64} + intDiv(toUnixTimestamp64Micro(time) - {start:Int64}, {step:Int64}) * {step:Int64} AS micros,
       avg(value) FROM points FINAL
WHERE series = {series:UInt64} AND time >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')
  AND time < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
GROUP BY micros ORDER BY micros
"""

_FIND = """
SELECT name, labels FROM series FINAL
WHERE ({service:String} = '' OR service = {service:String}) AND ({name:String} = '' OR name = {name:String})
"""

# Changes are not written twice: they are the points of the series whose name says so.
_CHANGES = """
WITH chosen AS (
    SELECT id, name, service, labels FROM series FINAL
    WHERE startsWith(name, {prefix:String}) AND (empty({services:Array(String)}) OR has({services:Array(String)}, service))
)
SELECT toUnixTimestamp64Micro(p.time) AS micros, chosen.service, chosen.name, chosen.labels
FROM (
    SELECT series, time FROM points FINAL
    WHERE series IN (SELECT id FROM chosen) AND time >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')
      AND time < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
) AS p INNER JOIN chosen ON chosen.id = p.series
ORDER BY micros, chosen.service, chosen.name
"""


class ClickHouseHistory:
    """Implements `SeriesHistory`. Threads may share one object.

    `connect` is called at the first use, and again after it failed, so that Sentinel starts while a server is away;
    until then every method raises `TransientError`. `database` is created when it is missing.
    """

    def __init__(self, connect: Callable[[], Client], database: str, settings: HistorySettings) -> None:
        self._connect = connect
        self._database = database
        self._settings = settings
        self._known = KnownSeries(settings.known_series)
        self._client: Client | None = None
        self._closed = False
        self._lock = threading.Lock()

    def add_points(self, points: Points) -> None:
        """Append events. 10,000 points take about 20 ms of CPU; series not seen before cost a second insert."""
        if not len(points.series):
            return
        ids, new = self._known.ids(points.series)
        with store_errors("add points"):
            client = self._open()
            if new:
                # Before the points, so that no point is ever without a description.
                rows = [(number, one.name, one.service, dict(one.labels)) for one, number in new.items()]
                _insert(client, "series", SERIES_COLUMNS, list(zip(*rows, strict=True)))
                self._known.add(new.items())
            _insert(client, "points", POINT_COLUMNS, [ids, _micros(points.times), points.values])

    def add_decisions(self, rows: Sequence[Decision]) -> None:
        """Append decision rows."""
        if not rows:
            return
        columns = [[_decision_value(row, column) for row in rows] for column in DECISION_COLUMNS]
        with store_errors("add decisions"):
            _insert(self._open(), "decisions", DECISION_COLUMNS, columns)

    def find_series(self, service: str = "", name: str = "") -> list[Series]:
        """The known series of a service and/or metric name, sorted by key; those of changes are among them."""
        rows = self._query("find series", _FIND, {"service": service, "name": name})
        return sorted((Series.of(name, labels) for name, labels in rows), key=lambda one: one.key)

    def read(self, series: Series, start: float, end: float, step: float = 0.0) -> SeriesData:
        """Values with start <= time < end; with `step` > 0 the mean of each step, at the step's start."""
        parameters = {"series": series.hash, "start": _micro(start), "end": _micro(end)}
        if step > 0:
            parameters["step"] = _micro(step)
        rows = self._query("read a series", _READ_STEPS if step > 0 else _READ, parameters, _BY_PARTITION)
        table = np.array(rows, np.float64).reshape(len(rows), 2)
        return SeriesData(series, table[:, 0] / 1e6, table[:, 1].copy())

    def changes(self, services: Sequence[str], start: float, end: float) -> list[Change]:
        """Changes of these services (all when empty) with start <= time < end, oldest first."""
        parameters = {
            "prefix": CHANGE_PREFIX,
            "services": list(services),
            "start": _micro(start),
            "end": _micro(end),
        }
        rows = self._query("read changes", _CHANGES, parameters, _BY_PARTITION)
        return [
            Change(at=micros / 1e6, service=service, kind=name.removeprefix(CHANGE_PREFIX), labels=labels)
            for micros, service, name, labels in rows
        ]

    def decisions(
        self,
        *,
        subject: str = "",
        service: str = "",
        incident_id: str = "",
        stage: str = "",
        start: float = 0.0,
        end: float = 1e12,
        limit: int = 1000,
    ) -> list[Decision]:
        """Decision rows that match every given filter, oldest first; the oldest `limit` of them."""
        filters = {"subject": subject, "service": service, "incident_id": incident_id, "stage": stage}
        chosen = {column: value for column, value in filters.items() if value}
        conditions = ["at >= {start:Float64}", "at < {end:Float64}"]
        conditions += [f"{column} = {{{column}:String}}" for column in chosen]
        statement = (
            f"SELECT {', '.join(DECISION_COLUMNS)} FROM decisions FINAL WHERE {' AND '.join(conditions)}"  # noqa: S608 - fixed column names; values are bound
            " ORDER BY at, decided_at, decision_id LIMIT {limit:UInt64}"
        )
        rows = self._query("read decisions", statement, {**chosen, "start": start, "end": end, "limit": limit})
        return [_decision(row) for row in rows]

    def check(self) -> None:
        """Return when the store answers; raise `TransientError` with the reason when it does not."""
        # Not ping(): it answers False in process, and does not try the database.
        self._query("answer", "SELECT 1", {})

    def close(self) -> None:
        """Release the path or the connections; later calls raise `PermanentError`."""
        with self._lock:
            self._closed = True
            if self._client is not None:
                self._client.close()
                self._client = None

    def _open(self) -> Client:
        with self._lock:
            if self._closed:
                raise PermanentError("series history: used after close()")
            if self._client is None:
                client = self._connect()
                prepare(client, self._database, self._settings)
                self._client = client
            return self._client

    def _query(
        self,
        action: str,
        statement: str,
        parameters: dict[str, Any],
        settings: dict[str, Any] | None = None,
    ) -> Sequence[Sequence[Any]]:
        with store_errors(action):
            return self._open().query(statement, parameters=parameters, settings=settings).result_rows


def _insert(client: Client, table: str, columns: dict[str, str], data: Sequence[Any]) -> None:
    # Names and types are given, or the client would ask the server for them before each insert.
    client.insert(
        table,
        data,
        column_names=list(columns),
        column_type_names=list(columns.values()),
        column_oriented=True,
    )


def _micro(seconds: float) -> int:
    return round(seconds * 1e6)


def _micros(seconds: NDArray[np.float64]) -> list[int]:
    # The client writes integers into DateTime64 as they are; a numpy array it would convert item by item.
    integers: list[int] = np.round(seconds * 1e6).astype(np.int64).tolist()
    return integers


def _decision_value(row: Decision, column: str) -> Any:
    return json.dumps(row.details) if column == "details" else getattr(row, column)


def _decision(row: Sequence[Any]) -> Decision:
    values = dict(zip(DECISION_COLUMNS, row, strict=True))
    return Decision(**{**values, "details": json.loads(values["details"])})
