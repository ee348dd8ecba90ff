"""Event-time tumbling windows of one shard: events in, closed windows out, exact for any cut of the stream into blocks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from operators.blocks import Assignment, ShardBlock, WindowBlock, pack, unpack
from operators.open_windows import LAST, LATE, MAX, MIN, SUM, UNKNOWN, Closed, Counters, OpenWindows, absorb
from operators.rules import Aggregate, DetectionSettings
from operators.series_table import SeriesTable

AGGREGATES = tuple(Aggregate)
"""The code of an aggregate is its index here."""
HOUSEKEEPING = 3600.0
"""Seconds of event time between two looks for idle series."""
NEVER = -1.0
"""A watermark before every event."""


class Windows:
    """The windows of one shard: `feed` takes events and returns what closed.

    An open window costs 64 bytes; a slot has room for as many as lateness and the shortest window ask for.
    """

    def __init__(self, settings: DetectionSettings) -> None:
        """Empty, for one shard."""
        self.settings = settings
        self.table = SeriesTable(settings)
        rules = (*settings.rules.values(), *settings.vectors.values())
        self._lengths = sorted({rule.window for rule in rules}) or [60.0]
        self._open = OpenWindows.blank(self.table.capacity, math.ceil(settings.lateness / self._lengths[0]) + 2)
        self._counters: Counters = np.zeros(2, np.int64)
        self._pending: list[Assignment] = []
        self._watermark = NEVER
        self._next_housekeeping = -math.inf
        self.evicted = 0

    @property
    def counters(self) -> dict[str, int]:
        """What was left out: `late` and `unknown` events, `refused` and `collided` announcements, `evicted` series."""
        return {
            "late": int(self._counters[LATE]), "unknown": int(self._counters[UNKNOWN]),
            "refused": self.table.refused, "collided": self.table.collisions, "evicted": self.evicted,
        }  # fmt: skip

    def feed(self, block: ShardBlock) -> WindowBlock:
        """Add a block's events; returns the windows that are closed now, ordered by end, then slot."""
        assigned, self._pending = self._pending, []
        for key, series in block.new_series:
            assigned += self.table.announce(key, series)
        self._start(assigned, block.high_mark)
        closed = self._absorb(block)
        watermark = max(block.high_mark - self.settings.lateness, self._watermark)
        if self.passes(self._watermark, watermark):
            closed = closed.plus(self._sweep(watermark))
        self._watermark = watermark
        self._forget_idle(block.high_mark)
        return self._block(block.shard, closed, assigned)

    def passes(self, earlier: float, later: float) -> bool:
        """Whether a window of some rule ends between two watermarks (after the earlier, at or before the later)."""
        return any(later // length > earlier // length for length in self._lengths)

    def snapshot(self) -> dict[str, Any]:
        """The state as plain dicts and arrays, copied."""
        return {
            "v": 1, "table": self.table.snapshot(), "counters": self._counters.copy(), "evicted": self.evicted,
            "housekeeping": self._next_housekeeping, "watermark": self._watermark,
            "pending": [pack(each) for each in self._pending],
            "open": {name: array.copy() for name, array in self._open.arrays().items()},
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a snapshot; slots whose rule changed start anew, and the next block tells the later steps."""
        changes = self.table.restore(state["table"])
        restored = OpenWindows(**{name: array.copy() for name, array in state["open"].items()})
        self._open = restored.with_room(self.table.capacity, self._open.cells)
        self._counters, self.evicted = state["counters"].copy(), state["evicted"]
        self._next_housekeeping, self._watermark = state["housekeeping"], state["watermark"]
        self._pending = [*(unpack(packed) for packed in state["pending"]), *changes]

    def _start(self, assigned: list[Assignment], high_mark: float) -> None:
        """Give the slots of new assignments empty windows of their rule's length; to be announced is to be seen."""
        self._open = self._open.with_room(self.table.capacity, self._open.cells)
        for each in assigned:
            rule = self.settings.rule(each.rule)
            self._open.counts[each.slot] = 0
            self._open.last_seen[each.slot] = high_mark
            if rule is not None:
                self._open.lengths[each.slot] = rule.window
                self._open.codes[each.slot] = AGGREGATES.index(rule.aggregate)

    def _absorb(self, block: ShardBlock) -> Closed:
        own, table = self._open, self.table
        out = Closed.room(len(block.times) * (1 + len(self.settings.vectors)))
        made = absorb(
            block.times, block.values, block.series, block.traces, block.high_marks, self.settings.lateness,
            table.keys, table.places, table.chain, own.lengths, own.last_seen,
            own.starts, own.counts, own.sums, own.traces,
            out.slots, out.starts, out.counts, out.sums, out.traces, self._counters,
        )  # fmt: skip
        return out.head(made)

    def _sweep(self, watermark: float) -> Closed:
        own = self._open
        slot, cell = np.nonzero((own.counts > 0) & (own.starts + own.lengths[:, None] <= watermark))
        closed = Closed(
            slot.astype(np.int32),
            own.starts[slot, cell],
            own.counts[slot, cell],
            own.sums[slot, cell],
            own.traces[slot, cell],
        )
        own.counts[slot, cell] = 0
        return closed

    def _block(self, shard: str, closed: Closed, assigned: list[Assignment]) -> WindowBlock:
        ends = closed.starts + self._open.lengths[closed.slots]
        order = np.lexsort((closed.slots, ends))
        slots, counts, sums = closed.slots[order], closed.counts[order], closed.sums[order]
        columns = {
            Aggregate.MEAN: sums[:, SUM] / np.maximum(counts, 1), Aggregate.SUM: sums[:, SUM], Aggregate.MIN: sums[:, MIN],
            Aggregate.MAX: sums[:, MAX], Aggregate.LAST: sums[:, LAST], Aggregate.COUNT: counts.astype(np.float64),
        }  # fmt: skip
        values = np.choose(self._open.codes[slots], [columns[each] for each in AGGREGATES])
        return WindowBlock(
            shard,
            slots,
            closed.starts[order],
            ends[order],
            values,
            counts,
            closed.traces[order],
            self._watermark,
            assigned,
        )

    def _forget_idle(self, high_mark: float) -> None:
        """Free the slots of series without an event for `idle_after`; the next block says so."""
        if not high_mark >= self._next_housekeeping:
            return
        self._next_housekeeping = high_mark + HOUSEKEEPING
        oldest = high_mark - self.settings.idle_after
        idle = [key for key, slot in self.table.heads.items() if self._open.last_seen[slot] < oldest]
        for key in idle:
            self._pending += self.table.forget(key)
        if idle:
            self.table.rebuild()
            self.evicted += len(idle)
