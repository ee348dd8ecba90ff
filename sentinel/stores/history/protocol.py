"""What a series history can do; `clickhouse.py` does it, in process (chdb) or on a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sentinel.decisions import Decision
from sentinel.incidents import Change
from sentinel.series import Series

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Points:
    """A block of events in columns, all of length n: `series[i]` was `values[i]` at `times[i]` (epoch seconds)."""

    series: Sequence[Series]
    times: Floats
    values: Floats


@dataclass(frozen=True, slots=True)
class SeriesData:
    """One series over time, in time order: `times` and `values` have the same length; both may be empty."""

    series: Series
    times: Floats
    values: Floats


class SeriesHistory(Protocol):
    """Every event, change and decision. Methods raise `TransientError` while the store is away.

    Writes are idempotent: the same (series, time) or decision id written twice is read once.
    """

    def add_points(self, points: Points) -> None:
        """Append events; those whose name starts with `change.` become changes as well."""

    def add_decisions(self, rows: Sequence[Decision]) -> None:
        """Append decision rows."""

    def find_series(self, service: str = "", name: str = "") -> list[Series]:
        """The known series of a service and/or metric name, sorted by key; empty arguments match all."""

    def read(self, series: Series, start: float, end: float, step: float = 0.0) -> SeriesData:
        """Values with start <= time < end. `step` > 0 averages over steps of that many seconds, counted from `start`."""

    def changes(self, services: Sequence[str], start: float, end: float) -> list[Change]:
        """Changes of these services (all when empty) with start <= time < end, oldest first."""

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
        """Decision rows that match every given filter, oldest first; no more than the oldest `limit`."""

    def check(self) -> None:
        """Return when the store answers; raise `TransientError` with the reason when it does not."""

    def close(self) -> None:
        """Release the path or the connections."""
