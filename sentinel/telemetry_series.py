"""The series that a reader of telemetry has met: numbers for series, bounded, found by the bytes of their labels."""

from __future__ import annotations

import zlib

import msgspec
import numpy as np
from numpy.typing import NDArray

from sentinel.series import CHANGE_PREFIX, Series


class SeriesTable:
    """Interned series. Row i has a series, its 64-bit hash, the CRC-32 of its service and whether it is a change.

    `rows` finds a row by (name, labels as they were spelled in JSON): the same series spelled in two ways (other order of
    its labels) has two rows with one hash. Its order is that of the rows. At most about `limit` rows: call `trim` between blocks. 0.5 kB per row.
    """

    def __init__(self, limit: int = 200_000) -> None:
        self._limit = limit
        self.rows: dict[tuple[str, bytes], int] = {}
        self.series: list[Series] = []
        self.generation = 0
        """Goes up whenever `trim` has forgotten everything."""
        self._columns = _empty(1024)

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """`Series.hash` of each row."""
        return self._columns[0][: len(self.series)]

    @property
    def services(self) -> NDArray[np.uint32]:
        """CRC-32 of the service of each row: which sub-shard it belongs to, the same for ever."""
        return self._columns[1][: len(self.series)]

    @property
    def changes(self) -> NDArray[np.bool_]:
        """Whether the row is a change (`change.deploy`) and not a measurement."""
        return self._columns[2][: len(self.series)]

    @property
    def announced(self) -> NDArray[np.float64]:
        """Event time at which the row was last announced downstream; minus infinity at first. For the caller to set."""
        return self._columns[3][: len(self.series)]

    def add(self, spelling: tuple[str, bytes], name: str, labels: dict[str, str]) -> int:
        """Add a row (about 10 us) and return its number."""
        row = len(self.series)
        if row == len(self._columns[0]):
            self._columns = _grown(self._columns)
        series = Series.of(name, labels)
        self.rows[spelling] = row
        self.series.append(series)
        self._columns[0][row] = series.hash
        self._columns[1][row] = zlib.crc32(series.service.encode())
        self._columns[2][row] = name.startswith(CHANGE_PREFIX)
        self._columns[3][row] = -np.inf
        return row

    def trim(self) -> bool:
        """Forget everything when the limit is passed (rows of columns made before are then void); True when it was."""
        if len(self.series) <= self._limit:
            return False
        self.rows.clear()
        self.series.clear()
        self.generation += 1
        self._columns = _empty(1024)
        return True

    def event_bytes(self, row: int, ts: float, value: float) -> bytes:
        """The JSON of one event of this row."""
        series = self.series[row]
        return msgspec.json.encode({"ts": ts, "name": series.name, "value": value, "labels": dict(series.labels)})


_Columns = tuple[NDArray[np.uint64], NDArray[np.uint32], NDArray[np.bool_], NDArray[np.float64]]


def _empty(size: int) -> _Columns:
    return np.zeros(size, np.uint64), np.zeros(size, np.uint32), np.zeros(size, np.bool_), np.full(size, -np.inf)


def _grown(columns: _Columns) -> _Columns:
    size = len(columns[0])
    hashes, services, changes, announced = _empty(size * 2)
    # One by one: joined in a loop, four arrays of four types have no type in common.
    hashes[:size], services[:size], changes[:size], announced[:size] = columns
    return hashes, services, changes, announced
