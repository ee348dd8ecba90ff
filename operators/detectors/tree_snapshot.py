"""Half-space trees frozen as flat lists, and judging a later vector by them without River."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from operators.blocks import Frozen

REACH = 8.0
"""Deviations from its mean at which a component is clipped; the trees split -8 to 8."""


@dataclass(frozen=True, slots=True)
class Component:
    """One metric of a vector: its value, and the mean and deviation that place it (NaN while these are warming up)."""

    value: float
    mean: float
    scale: float

    @property
    def distance(self) -> float:
        """Signed distance from the mean in deviations, clipped to `REACH`."""
        return min(max((self.value - self.mean) / self.scale, -REACH), REACH)


def tree_lists(trees: Any, names: tuple[str, ...]) -> Frozen:
    """The nodes of River's trees in preorder: `mass`, `split` value, and `feature` as its index in `names`, else -1."""
    nodes = [node for tree in trees._tree_nodes for node in tree]  # noqa: SLF001 (River offers no export)
    features = [getattr(node, "feature", "") for node in nodes]
    return {
        "mass": [float(node.r_mass) for node in nodes],
        "feature": [float(names.index(name)) if name in names else -1.0 for name in features],
        "split": [float(getattr(node, "threshold", 0.0)) for node in nodes],
    }


def judge_vector(frozen: Frozen, vector: Mapping[str, float]) -> float:
    """The score that a snapshot gives the values of a vector; above its `threshold` the vector is unusual.

    The walk of River's `score_one`: mass times two to the depth, summed down to the first region with few vectors; where a
    metric is missing, the fuller side is taken.
    """
    mass, feature, split, mean, scale = (_numbers(frozen, key) for key in ("mass", "feature", "split", "mean", "scale"))
    height, window, trees = (int(_scalar(frozen, key)) for key in ("height", "window", "trees"))
    names = [
        key.removeprefix("component:") for key in sorted(frozen, key=lambda key: _place(frozen, key)) if ":" in key
    ]
    point = {
        i: Component(vector[name], mean[i], scale[i]).distance for i, name in enumerate(names) if name in vector
    }  # fmt: skip
    size = (1 << (height + 1)) - 1
    total = 0.0
    for root in range(0, trees * size, size):
        node = root
        for depth in range(height + 1):
            total += mass[node] * float(1 << depth)
            if depth == height or mass[node] < 0.1 * window:
                break
            left, right = node + 1, node + (1 << (height - depth))
            value = point.get(int(feature[node]))
            if value is None:
                node = right if mass[left] < mass[right] else left
            else:
                node = left if value < split[node] else right
    return float(1 - total / (trees * window * size))


def judge_score(frozen: Frozen, score: float) -> bool:
    """Whether a score by the snapshot's trees is usual."""
    return score <= _scalar(frozen, "threshold")


def _place(frozen: Frozen, key: str) -> float:
    return _scalar(frozen, key) if ":" in key else -1.0


def _numbers(frozen: Frozen, key: str) -> list[float]:
    value = frozen[key]
    if not isinstance(value, list):
        raise TypeError(f"{key!r} of a snapshot of half-space trees must be a list")
    return value


def _scalar(frozen: Frozen, key: str) -> float:
    value = frozen[key]
    if isinstance(value, list):
        raise TypeError(f"{key!r} of a snapshot of half-space trees must be a number")
    return value
