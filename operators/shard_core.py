"""One shard of detection without Bytewax: events in, alerts and decisions out.

Replay, explain, backtest and the tests run this; the live flow runs the same three parts as three steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from operators.alert_states import AlertStates
from operators.blocks import Numbers, ShardBlock
from operators.rules import DetectionSettings
from operators.shard_detectors import ShardDetectors
from operators.windows import Windows
from sentinel.alerts import AlertMessage
from sentinel.decisions import Decision
from sentinel.series import Series


class ShardCore:
    """`summarize`, `detect` and `confirm` of one shard in a row."""

    def __init__(self, settings: DetectionSettings) -> None:
        """Nothing seen yet."""
        self.windows = Windows(settings)
        self.detectors = ShardDetectors(settings)
        self.states = AlertStates(settings)

    def feed(self, block: ShardBlock, now: float = 0.0) -> tuple[list[AlertMessage], list[Decision]]:
        """Take in one block; returns what is said on `alerts` and on `decisions`. `now` is the wall time to stamp."""
        judged = self.states.feed(self.detectors.feed(self.windows.feed(block)), now)
        return judged.alerts, judged.decisions

    def snapshot(self) -> dict[str, Any]:
        """The state of all three parts as plain dicts."""
        return {
            "v": 1, "windows": self.windows.snapshot(), "detectors": self.detectors.snapshot(), "states": self.states.snapshot()
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a snapshot."""
        self.windows.restore(state["windows"])
        self.detectors.restore(state["detectors"])
        self.states.restore(state["states"])


def shard_blocks(
    recorded: Iterable[tuple[Series, Numbers, Numbers]], block_rows: int = 10_000, shard: str = "0/0"
) -> Iterator[ShardBlock]:
    """Turn recorded series (series, times, values) into blocks in the order of time, as one partition would see them.

    Equal times keep the order of the series given. A series is announced with its first event. Non-finite values are left
    out, as `decode` would reject them.
    """
    columns = [
        (series, np.asarray(times, np.float64), np.asarray(values, np.float64)) for series, times, values in recorded
    ]
    if not columns:
        return
    times = np.concatenate([each[1] for each in columns])
    values = np.concatenate([each[2] for each in columns])
    owners = np.repeat(np.arange(len(columns)), [len(each[1]) for each in columns])
    order = np.argsort(times, kind="stable")
    order = order[np.isfinite(values[order])]
    times, values, owners = times[order], values[order], owners[order]
    hashes = np.array([series.hash for series, _, _ in columns], np.uint64)
    marks = np.maximum.accumulate(times)
    met: set[int] = set()
    for at in range(0, len(times), block_rows):
        part = slice(at, at + block_rows)
        new = [owner for owner in dict.fromkeys(owners[part].tolist()) if owner not in met]
        met.update(new)
        yield ShardBlock(
            shard, times[part], values[part], hashes[owners[part]], np.zeros((len(times[part]), 2), np.uint64), marks[part],
            float(marks[part][-1]), [(int(hashes[owner]), columns[owner][0]) for owner in new],
        )  # fmt: skip
