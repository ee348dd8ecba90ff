"""What `decode` does to the blocks of one partition, without Bytewax: columns, high marks, sub-shards, rejects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.blocks import ANNOUNCE_EVERY, RawBlock, ShardBlock
from operators.scanning import MessageScanner
from sentinel.series import Series
from sentinel.telemetry import Columns, FutureGuard, Rejected, TelemetrySettings, parse_messages, reject_rows
from sentinel.telemetry_events import Reason
from sentinel.telemetry_series import SeriesTable
from sentinel.traces import Ids, derive_traces, read_traceparent

MAX_REJECTED_BYTES = 256 * 1024
"""Longest original kept of a rejected message; longer ones are cut, so that a broker's limit cannot stop the flow."""


@dataclass(frozen=True, slots=True)
class RejectedMessage:
    """One row for the topic `telemetry.rejected`, for `count` events. `value` is the original, cut at `MAX_REJECTED_BYTES`."""

    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    value: bytes
    count: int = 1


class PartitionDecoder:
    """Decodes one partition in order. `lateness`: seconds that windows wait. The state is its high mark; interned series are a cache and begin empty."""

    def __init__(
        self, topic: str, settings: TelemetrySettings, lateness: float, state: Mapping[str, Any] | None = None
    ) -> None:
        self._topic = topic
        self._settings = settings
        self._lateness = lateness
        self._table = SeriesTable(settings.max_known_series)
        self._scanner = MessageScanner(self._table)
        high_mark = -np.inf if state is None else float(state["high_mark"])
        self._guard = FutureGuard(settings, lateness, high_mark)
        self.changes = 0
        """Changes among the events of the last block: accepted, though no shard gets them."""

    @property
    def watermark(self) -> float:
        """Event time up to which the partition is complete, in seconds."""
        return self._guard.high_mark - self._lateness

    @property
    def known_series(self) -> int:
        """Rows of the table of series."""
        return len(self._table.series)

    def snapshot(self) -> dict[str, Any]:
        """What must survive a restart."""
        return {"v": 1, "high_mark": float(self._guard.high_mark)}

    def feed(self, block: RawBlock, now: float) -> tuple[list[ShardBlock], list[RejectedMessage]]:
        """One block for every sub-shard, in order, and what was rejected. `now` is wall time. Never raises."""
        self._table.trim()
        columns = parse_messages(block.values, self._table, self._settings, self._scanner)
        columns = self._without_changes(columns)
        before = self._guard.high_mark
        far = self._guard.too_far(columns.times, now)
        if far.any():
            columns = reject_rows(columns, far, self._table, Reason.FAR_FUTURE)
        marks = np.maximum(np.maximum.accumulate(columns.times), before) if len(columns.times) else columns.times
        traces = self._traces(block)[columns.messages]
        rejected = [self._rejected(block, bad) for bad in columns.rejected]
        return self._split(block.partition, columns, marks, traces), rejected

    def _without_changes(self, columns: Columns) -> Columns:
        """Changes are the archive's; here they neither count nor move the watermark."""
        changes = self._table.changes[columns.ids]
        self.changes = int(changes.sum())
        if not self.changes:
            return columns
        keep = ~changes
        return Columns(
            columns.times[keep], columns.values[keep], columns.ids[keep], columns.messages[keep], columns.rejected
        )

    def _traces(self, block: RawBlock) -> Ids:
        traces = derive_traces(self._topic, block.partition, np.array(block.offsets, np.int64))
        for row, header in enumerate(block.traces):
            found = read_traceparent(header) if header else None
            if found is not None:
                traces[row] = found
        return traces

    def _split(self, partition: int, columns: Columns, marks: NDArray[np.float64], traces: Ids) -> list[ShardBlock]:
        count = self._settings.sub_shards
        table = self._table
        subs = table.services[columns.ids] % count
        due = self._due(columns.ids, marks)
        blocks = []
        for sub in range(count):
            rows = np.flatnonzero(subs == sub)
            ids = columns.ids[rows]
            blocks.append(
                ShardBlock(
                    shard=f"{partition}/{sub}",
                    times=columns.times[rows],
                    values=columns.values[rows],
                    series=table.hashes[ids],
                    traces=traces[rows],
                    high_marks=marks[rows],
                    high_mark=self._guard.high_mark,
                    new_series=due.get(sub, []),
                )
            )
        return blocks

    def _due(self, ids: NDArray[np.int64], marks: NDArray[np.float64]) -> dict[int, list[tuple[int, Series]]]:
        """The series to announce, by sub-shard: those not announced yet, or not for `ANNOUNCE_EVERY` of event time."""
        table = self._table
        late = np.flatnonzero(marks >= table.announced[ids] + ANNOUNCE_EVERY)
        rows, first = np.unique(ids[late], return_index=True)
        table.announced[rows] = marks[late[first]]
        due: dict[int, list[tuple[int, Series]]] = {}
        for row in rows.tolist():
            sub = int(table.services[row]) % self._settings.sub_shards
            due.setdefault(sub, []).append((int(table.hashes[row]), table.series[row]))
        return due

    def _rejected(self, block: RawBlock, bad: Rejected) -> RejectedMessage:
        return RejectedMessage(
            reason=bad.reason.value,
            detail=bad.detail,
            topic=self._topic,
            partition=block.partition,
            offset=block.offsets[bad.message],
            value=bad.value[:MAX_REJECTED_BYTES],
            count=bad.count,
        )
