"""The items that travel between the detection steps: columns of many rows, one item per block.

All are plain picklable dataclasses. Shapes are given as `n` (events of a block) and `r` (closed windows of a block);
times are event time in seconds since the epoch. Arrays in a block are never changed after it was sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sentinel.alerts import AlertMessage, Finding
from sentinel.decisions import Decision
from sentinel.series import Series

Floats = npt.NDArray[np.float64]
Numbers = Sequence[float] | Floats
"""Times or values as they come from a file, a store or a test."""
Hashes = npt.NDArray[np.uint64]
Slots = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
Frozen = dict[str, float | list[float]]
"""The parameters of one detector at one moment, as plain JSON values."""

ANNOUNCE_EVERY = 6 * 3600.0
"""Seconds of event time after which `decode` announces a known series again; `summarize` never forgets a series that
was quiet for less than twice this, so that an event without a known series does not occur."""


@dataclass(frozen=True, slots=True, eq=False)
class RawBlock:
    """Up to 10,000 raw messages of one partition, in offset order. Bytewax key: `str(partition)`.

    `values[i]` and `offsets[i]` belong together; `traces[i]` is the `traceparent` header of message i or None.
    `traces` is empty when no message of the block had one.
    """

    partition: int
    offsets: list[int]
    values: list[bytes]
    traces: list[bytes | None] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class ShardBlock:
    """The events of one sub-shard in arrival order. Bytewax key: `shard` (`"partition/sub"`).

    Every sub-shard gets a block for every raw block of its partition, an empty one as well.

    `series[n]`: `Series.hash`; a hash that the shard has not met yet (or not for `ANNOUNCE_EVERY`) is announced with its
    series in `new_series`, in the same block or before; repeating an announcement does no harm.
    `high_marks[n]`: the highest event time that the *partition* had reached with this row, its own time included;
    `high_mark`: the same after the whole block (minus infinity before the first event). Lateness is judged per row
    against these, so that results do not depend on how the stream was cut into blocks.
    `traces[n, 2]`: the trace id's upper and lower 64 bits.
    """

    shard: str
    times: Floats
    values: Floats
    series: Hashes
    traces: Hashes
    high_marks: Floats
    high_mark: float
    new_series: list[tuple[int, Series]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Assignment:
    """A slot was given to a series and a rule, and starts anew in every later step; an empty `rule` frees the slot.

    `group` is the slot of the service's vector when this series is one of its members, else -1. The vector's own slot is
    assigned before its members, with a series named after the rule.
    """

    slot: int
    series: Series
    rule: str
    group: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class WindowBlock:
    """Closed event-time windows of one shard, ordered by end, then slot; only windows that hold events are here.

    `values[r]`: the rule's aggregate; `counts[r]`: events in it; `traces[r, 2]`: trace id of the window's last event.
    `watermark`: every window that ends at or before it is closed. `assigned` comes before the rows.
    """

    shard: str
    slots: Slots
    starts: Floats
    ends: Floats
    values: Floats
    counts: Slots
    traces: Hashes
    watermark: float
    assigned: list[Assignment] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that a detector of its rule called unusual, with what each said and the parameters at that moment.

    `veto` is the reason why it is held back all the same (it matches the season); empty when nothing speaks against it.
    `frozen`: detector name to its parameters before the row was learned.
    """

    findings: tuple[Finding, ...]
    frozen: dict[str, Frozen]
    veto: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredBlock:
    """Judged rows of one shard: those of point rules as they came, then one per service vector; ordered by end, slot.

    `candidates` maps a row's index to what was found there. `vectors` maps the row of a service vector to its values by
    metric; the row's own value is then the vector's score.
    """

    shard: str
    slots: Slots
    starts: Floats
    ends: Floats
    values: Floats
    traces: Hashes
    watermark: float
    candidates: dict[int, Candidate]
    vectors: dict[int, dict[str, float]]
    assigned: list[Assignment] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tick:
    """Word to `confirm` that a shard's windows up to `watermark` are over although no block came (a silent partition)."""

    shard: str
    watermark: float


@dataclass(frozen=True, slots=True, eq=False)
class Judgements:
    """What `confirm` decided about one block: messages for the topic `alerts`, rows for the topic `decisions`."""

    shard: str
    alerts: list[AlertMessage]
    decisions: list[Decision]


def trace_hex(high: int, low: int) -> str:
    """The 32 hexadecimal digits of a trace id from its two halves; an empty string for the zero id.

    >>> trace_hex(1, 255)
    '000000000000000100000000000000ff'
    """
    return f"{int(high):016x}{int(low):016x}" if high or low else ""


PackedAssignment = tuple[int, str, tuple[tuple[str, str], ...], str, int]
"""An assignment as plain values, for snapshots."""


def pack(each: Assignment) -> PackedAssignment:
    """An assignment as plain values."""
    return each.slot, each.series.name, each.series.labels, each.rule, each.group


def unpack(packed: PackedAssignment) -> Assignment:
    """The assignment that `pack` took apart."""
    slot, name, labels, rule, group = packed
    return Assignment(slot, Series(name, labels), rule, group)
