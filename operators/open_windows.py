"""The arrays behind the windows of a shard, and the kernel that adds events to them."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.blocks import Floats, Hashes, Slots
from operators.kernels import kernel

SUM, MIN, MAX, LAST = range(4)
"""Columns of a cell's accumulators."""
LATE, UNKNOWN = range(2)
"""Places of the counters that the kernel keeps."""

Counters = npt.NDArray[np.int64]


@kernel
def absorb(  # noqa: PLR0913, PLR0917 (a kernel takes arrays, not objects)
    times: Floats, values: Floats, series: Hashes, traces: Hashes, marks: Floats, lateness: float,
    keys: Hashes, places: Slots, chain: Slots, lengths: Floats, last_seen: Floats,
    starts: Floats, counts: Slots, sums: Floats, cell_traces: Hashes,
    out_slot: Slots, out_start: Floats, out_count: Slots, out_sums: Floats, out_traces: Hashes, counters: Counters,
) -> int:  # fmt: skip
    """Add n events in arrival order to the open windows; returns how many windows it had to close to make room.

    `starts[slots, k]`, `counts`, `sums[slots, k, 4]`, `cell_traces[slots, k, 2]` are the open windows: window number w
    lies in cell `w % k`. An event is late when its window had closed at the mark of its own row. About 0.05 us an event.
    """
    cells = starts.shape[1]
    mask = len(keys) - 1
    made = 0
    for i in range(len(times)):
        place = np.int64(series[i] & np.uint64(mask))
        while places[place] != -1 and keys[place] != series[i]:
            place = (place + 1) & mask
        slot = places[place]
        if slot == -1:
            counters[1] += 1
            continue
        late = False
        while slot != -1:
            length = lengths[slot]
            number = math.floor(times[i] / length)
            start = number * length
            if start + length <= marks[i] - lateness:
                late = True
                slot = chain[slot]
                continue
            cell = int(number) % cells
            if counts[slot, cell] > 0 and starts[slot, cell] != start:
                out_slot[made] = slot
                out_start[made] = starts[slot, cell]
                out_count[made] = counts[slot, cell]
                out_sums[made] = sums[slot, cell]
                out_traces[made] = cell_traces[slot, cell]
                made += 1
                counts[slot, cell] = 0
            if counts[slot, cell] == 0:
                starts[slot, cell] = start
                sums[slot, cell, 0] = 0.0
                sums[slot, cell, 1] = values[i]
                sums[slot, cell, 2] = values[i]
            counts[slot, cell] += 1
            sums[slot, cell, 0] += values[i]
            sums[slot, cell, 1] = min(sums[slot, cell, 1], values[i])
            sums[slot, cell, 2] = max(sums[slot, cell, 2], values[i])
            sums[slot, cell, 3] = values[i]
            cell_traces[slot, cell] = traces[i]
            last_seen[slot] = max(last_seen[slot], times[i])
            slot = chain[slot]
        if late:
            counters[0] += 1
    return made


@dataclass(slots=True)
class OpenWindows:
    """The open windows of all slots.

    `starts[slots, cells]`, `counts`, `sums[slots, cells, 4]` and `traces[slots, cells, 2]` are the windows; `lengths[slots]`
    (seconds), `codes` (aggregate) and `last_seen` (event time) belong to the slot.
    """

    starts: Floats
    counts: Slots
    sums: Floats
    traces: Hashes
    lengths: Floats
    codes: npt.NDArray[np.int8]
    last_seen: Floats

    @classmethod
    def blank(cls, slots: int, cells: int) -> OpenWindows:
        """No open window anywhere."""
        return cls(
            np.zeros((slots, cells)), np.zeros((slots, cells), np.int32), np.zeros((slots, cells, 4)),
            np.zeros((slots, cells, 2), np.uint64), np.ones(slots), np.zeros(slots, np.int8), np.full(slots, -np.inf),
        )  # fmt: skip

    @property
    def cells(self) -> int:
        """Windows that a slot can hold open at a time."""
        return int(self.starts.shape[1])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Every array by its name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def with_room(self, slots: int, cells: int) -> OpenWindows:
        """The same windows in arrays for more slots and cells; itself when there is room."""
        if slots <= len(self.lengths) and cells <= self.cells:
            return self
        used = len(self.lengths)
        bigger = OpenWindows.blank(max(slots, used), max(cells, self.cells))
        bigger.lengths[:used], bigger.codes[:used], bigger.last_seen[:used] = self.lengths, self.codes, self.last_seen
        slot, old = np.nonzero(self.counts)
        cell = np.rint(self.starts[slot, old] / self.lengths[slot]).astype(np.int64) % bigger.cells
        for mine, theirs in ((self.starts, bigger.starts), (self.sums, bigger.sums), (self.traces, bigger.traces)):
            theirs[slot, cell] = mine[slot, old]
        bigger.counts[slot, cell] = self.counts[slot, old]
        return bigger


@dataclass(slots=True)
class Closed:
    """Columns of windows that closed, in no order."""

    slots: Slots
    starts: Floats
    counts: Slots
    sums: Floats
    traces: Hashes

    @classmethod
    def room(cls, rows: int) -> Closed:
        """Room for as many rows."""
        return cls(
            np.empty(rows, np.int32), np.empty(rows), np.empty(rows, np.int32), np.empty((rows, 4)),
            np.empty((rows, 2), np.uint64),
        )  # fmt: skip

    def head(self, rows: int) -> Closed:
        """The first rows."""
        return Closed(self.slots[:rows], self.starts[:rows], self.counts[:rows], self.sums[:rows], self.traces[:rows])

    def plus(self, other: Closed) -> Closed:
        """Both, one after the other."""
        return Closed(
            np.concatenate([self.slots, other.slots]), np.concatenate([self.starts, other.starts]),
            np.concatenate([self.counts, other.counts]), np.concatenate([self.sums, other.sums]),
            np.concatenate([self.traces, other.traces]),
        )  # fmt: skip
