"""Rows of state per slot: what every detector of single series shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.blocks import Slots
from operators.detectors.contract import Guard, Rows, Scores

Columns = dict[str, npt.NDArray[Any]]


class Bank:
    """Named arrays with one row per slot in use; the rows grow by doubling and are used again.

    `columns` maps a name to the shape and type of one row and its first value. Four columns are always there: the
    guard of the slot's rule as `min_absolute`, `min_relative`, `ways` (1 up, 2 down, 3 both) and `budget`.
    """

    def __init__(self, columns: dict[str, tuple[tuple[int, ...], Any, float]]) -> None:
        """Empty."""
        self._blank = {
            **columns, "min_absolute": ((), np.float64, 0.0), "min_relative": ((), np.float64, 0.0), "ways": ((), np.int8, 3.0),
            "budget": ((), np.float64, 2.0),
        }  # fmt: skip
        self._index: Slots = np.full(64, -1, np.int32)
        self._free: list[int] = []
        self._used = 0
        self.columns: Columns = self._make(16)

    def assign(self, slot: int, guard: Guard) -> None:
        """Give `slot` a fresh row."""
        self.release(slot)
        if slot >= len(self._index):
            more = max(slot + 1, 2 * len(self._index)) - len(self._index)
            self._index = np.concatenate([self._index, np.full(more, -1, np.int32)])
        if not self._free:
            if self._used == len(self.columns["ways"]):
                fresh = self._make(self._used)
                self.columns = {name: np.concatenate([old, fresh[name]]) for name, old in self.columns.items()}
            self._free.append(self._used)
            self._used += 1
        row = self._free.pop()
        for name, (_, _, first) in self._blank.items():
            self.columns[name][row] = first
        self.columns["min_absolute"][row] = guard.min_absolute
        self.columns["min_relative"][row] = guard.min_relative
        self.columns["ways"][row] = guard.up + 2 * guard.down
        self.columns["budget"][row] = guard.budget
        self._index[slot] = row

    def release(self, slot: int) -> None:
        """Give the slot's row back; nothing happens when it has none."""
        if slot < len(self._index) and self._index[slot] >= 0:
            self._free.append(int(self._index[slot]))
            self._index[slot] = -1

    def rows_of(self, slots: Slots) -> Slots:
        """The row of each slot."""
        return self._index[slots]

    def dump(self) -> dict[str, Any]:
        """Copies of everything, as plain values."""
        return {
            "v": 1, "index": self._index.copy(), "free": list(self._free), "used": self._used,
            "columns": {name: array.copy() for name, array in self.columns.items()},
        }  # fmt: skip

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self._index, self._free, self._used = state["index"].copy(), list(state["free"]), state["used"]
        self.columns = {name: array.copy() for name, array in state["columns"].items()}

    def _make(self, rows: int) -> Columns:
        return {name: np.full((rows, *shape), first, kind) for name, (shape, kind, first) in self._blank.items()}


class BankedDetector(ABC):
    """The part of the contract that is the same for every detector whose state is a `Bank`."""

    def __init__(self, name: str, bank: Bank) -> None:
        """`name` is the detector's name in the configuration; `bank` is empty."""
        self._name, self._bank = name, bank

    def assign(self, slot: int, guard: Guard) -> None:
        """See the contract."""
        self._bank.assign(slot, guard)

    def release(self, slot: int) -> None:
        """See the contract."""
        self._bank.release(slot)

    def score(self, rows: Rows) -> Scores:
        """See the contract."""
        return self._run(rows, frozenset(), learn=False)

    def learn(self, rows: Rows) -> None:
        """See the contract."""
        self._run(rows, frozenset(), learn=True)

    def observe(self, rows: Rows, keep: frozenset[int] = frozenset()) -> Scores:
        """See the contract."""
        return self._run(rows, keep, learn=True)

    def dump(self) -> dict[str, Any]:
        """See the contract."""
        return self._bank.dump()

    def load(self, state: dict[str, Any]) -> None:
        """See the contract."""
        self._bank.load(state)

    @abstractmethod
    def _run(self, rows: Rows, keep: frozenset[int], *, learn: bool) -> Scores:
        """Run the detector's kernel over the rows."""
