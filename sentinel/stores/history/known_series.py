"""Which series the store knows already, so that inserting a block does not describe them again. Pure."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from sentinel.series import Series


class KnownSeries:
    """Series to id, bounded to `limit`; beyond it the oldest are forgotten. Safe for several threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ids: dict[Series, int] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._ids)

    def ids(self, series: Sequence[Series]) -> tuple[NDArray[np.uint64], dict[Series, int]]:
        """The id of each series, and those (each once, with its id) that are not known yet.

        Cost: about 1 microsecond for a known series and 10 for a new one. Nothing is marked known: see `add`.
        """
        ids: dict[Series, int] = {}
        new: dict[Series, int] = {}
        for one in dict.fromkeys(series):
            number = self._ids.get(one)
            if number is None:
                number = new[one] = one.hash
            ids[one] = number
        return np.fromiter((ids[one] for one in series), np.uint64, len(series)), new

    def add(self, new: Iterable[tuple[Series, int]]) -> None:
        """Mark these as described in the store; call it after the store has them."""
        with self._lock:
            self._ids.update(new)
            while len(self._ids) > self._limit:
                del self._ids[next(iter(self._ids))]
