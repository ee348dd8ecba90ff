"""River's half-space trees on the vector of a service: unusual combinations of metrics, no labels needed.

Tan, Ting, Liu, "Fast anomaly detection for streaming data", IJCAI 2011. The score is near 1 in regions of the space where
few vectors were seen. The trees split the range that each metric had during the first `min_windows` vectors, with half a
range of margin; a vector is unusual when its score passes a high quantile of the scores before it by `margin`. A vector
judged unusual is learned with its components clipped to the ranges. Cost: 0.5 ms a vector, 60 kB a service.
"""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from operators.blocks import Frozen
from operators.detectors.contract import number
from operators.detectors.settings import HalfSpaceTreesSettings
from sentinel.alerts import Finding

MEMORY = 672
"""Scores that the quantile is taken from: a week of 15-minute windows."""
FEW_SCORES = 96
"""Scores needed before their quantile means anything."""

Vector = Mapping[str, float]


@dataclass(slots=True)
class _Model:
    """The state of one service: ranges first, then trees, then the scores they gave."""

    seen: int = 0
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    trees: Any = None
    """River's `HalfSpaceTrees` once they are planted."""
    scores: deque[float] = field(default_factory=lambda: deque(maxlen=MEMORY))


@dataclass(frozen=True, slots=True)
class VectorScore:
    """A vector's score and the threshold that it was held against; both NaN while the trees are warming up."""

    score: float
    threshold: float

    @property
    def unusual(self) -> bool:
        """Whether the score passes the threshold."""
        return self.score > self.threshold


class HalfSpaceTrees:
    """Half-space trees for every service of a shard. The contract of the point detectors, for one vector at a time."""

    def __init__(self, name: str, settings: HalfSpaceTreesSettings) -> None:
        """Empty; `name` is the detector's name in the configuration."""
        self._name, self._settings = name, settings
        self._models: dict[int, _Model] = {}

    def assign(self, slot: int) -> None:
        """Start the vector of a service anew."""
        self._models[slot] = _Model()

    def release(self, slot: int) -> None:
        """Forget a slot; one that was never assigned is fine."""
        self._models.pop(slot, None)

    def score(self, slot: int, vector: Vector) -> VectorScore:
        """Score a vector against the present state; changes nothing."""
        model = self._models[slot]
        if model.trees is None or len(model.scores) < FEW_SCORES:
            return VectorScore(np.nan, np.nan)
        limit = float(np.quantile(np.array(model.scores), self._settings.quantile)) + self._settings.margin
        return VectorScore(float(model.trees.score_one(self._known(model, vector))), limit)

    def learn(self, slot: int, vector: Vector) -> None:
        """Take a vector in."""
        model = self._models[slot]
        model.seen += 1
        if model.trees is None:
            for name, value in vector.items():
                low, high = model.ranges.get(name, (value, value))
                model.ranges[name] = (min(low, value), max(high, value))
            if model.seen >= self._settings.min_windows:
                model.ranges = {name: _with_margin(*bounds) for name, bounds in model.ranges.items()}
                model.trees = self._plant(model.ranges)
            return
        known = self._known(model, vector)
        if model.trees._first_window is False:  # noqa: SLF001 (River has no other way to ask whether it scores yet)
            model.scores.append(float(model.trees.score_one(known)))
        model.trees.learn_one(known)

    def observe(self, slot: int, vector: Vector) -> VectorScore:
        """Score, then learn; an unusual vector is learned clipped."""
        scored = self.score(slot, vector)
        if scored.unusual:
            ranges = self._models[slot].ranges
            vector = {
                name: min(max(value, ranges[name][0]), ranges[name][1])
                for name, value in vector.items()
                if name in ranges
            }
        self.learn(slot, vector)
        return scored

    def explain(self, slot: int, vector: Vector, scored: VectorScore) -> Finding:
        """What was found in one vector: names the components that lie furthest out in their range."""
        ranges = self._models[slot].ranges
        places = {name: (vector[name] - low) / (high - low) for name, (low, high) in ranges.items() if name in vector}
        furthest = sorted(places, key=lambda name: abs(places[name] - 0.5), reverse=True)[:2]
        saw = " and ".join(f"{name} {number(vector[name])}" for name in furthest)
        text = f"the metrics of the service together are unusual (score {scored.score:.3f}, usual up to {scored.threshold:.3f}): {saw}"
        return Finding(detector=self._name, score=scored.score, threshold=scored.threshold, text=text)

    def snapshot(self, slot: int, scored: VectorScore) -> Frozen:
        """The trees as flat lists (preorder; -1 marks a leaf) with the threshold, for `judge_vector`."""
        model = self._models[slot]
        if model.trees is None:
            raise ValueError("half-space trees have nothing to snapshot before they scored")
        nodes = [node for tree in model.trees._tree_nodes for node in tree]  # noqa: SLF001 (River offers no export)
        names = sorted(model.ranges)
        frozen: Frozen = {f"component:{name}": float(i) for i, name in enumerate(names)}
        frozen |= {
            "threshold": scored.threshold, "height": float(self._settings.height), "window": float(self._settings.window),
            "trees": float(self._settings.trees), "mass": [float(node.r_mass) for node in nodes],
            "feature": [float(names.index(node.feature)) if hasattr(node, "feature") else -1.0 for node in nodes],
            "split": [float(getattr(node, "threshold", 0.0)) for node in nodes],
        }  # fmt: skip
        return frozen

    def dump(self) -> dict[str, Any]:
        """The state as plain dicts, copied."""
        return {"v": 1, "models": {slot: _dump_model(model) for slot, model in self._models.items()}}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self._models = {slot: self._load_model(model) for slot, model in state["models"].items()}

    def _known(self, model: _Model, vector: Vector) -> dict[str, float]:
        return {name: value for name, value in vector.items() if name in model.ranges}

    def _plant(self, ranges: dict[str, tuple[float, float]]) -> Any:
        own = self._settings
        river = importlib.import_module("river.anomaly")  # on first use: the import takes half a second
        trees = river.HalfSpaceTrees(
            n_trees=own.trees, height=own.height, window_size=own.window, limits=ranges, seed=own.seed
        )
        trees.learn_one({name: (low + high) / 2 for name, (low, high) in ranges.items()})
        return trees

    def _load_model(self, packed: dict[str, Any]) -> _Model:
        model = _Model(packed["seen"], dict(packed["ranges"]), None, deque(packed["scores"], maxlen=MEMORY))
        if packed["masses"]:
            model.trees = self._plant(model.ranges)
            masses = iter(packed["masses"])
            for node in (node for tree in model.trees._tree_nodes for node in tree):  # noqa: SLF001
                node.l_mass, node.r_mass = islice(masses, 2)
            model.trees.counter, model.trees._first_window = packed["counter"], packed["first_window"]  # noqa: SLF001
        return model


def judge_vector(frozen: Frozen, vector: Vector) -> float:
    """The score that the trees of a snapshot give a vector; above `frozen["threshold"]` it is unusual.

    The same walk as River's `score_one`: mass times two to the depth, summed down to the first region with few vectors.
    """
    mass, feature, split = (_numbers(frozen, key) for key in ("mass", "feature", "split"))
    height, window, trees = (int(_scalar(frozen, key)) for key in ("height", "window", "trees"))
    names = {
        int(_scalar(frozen, key)): key.removeprefix("component:") for key in frozen if key.startswith("component:")
    }
    size = (1 << (height + 1)) - 1
    total = 0.0
    for root in range(0, trees * size, size):
        node = root
        for depth in range(height + 1):
            total += mass[node] * float(1 << depth)
            if depth == height or mass[node] < 0.1 * window:
                break
            left, right = node + 1, node + (1 << (height - depth))
            value = vector.get(names[int(feature[node])])
            if value is None:
                node = right if mass[left] < mass[right] else left
            else:
                node = left if value < split[node] else right
    return float(1 - total / (trees * window * size))


def judge_score(frozen: Frozen, score: float) -> bool:
    """Whether a score by the snapshot's trees is usual."""
    return score <= _scalar(frozen, "threshold")


def _dump_model(model: _Model) -> dict[str, Any]:
    trees = model.trees
    nodes = [node for tree in trees._tree_nodes for node in tree] if trees else []  # noqa: SLF001
    return {
        "seen": model.seen, "ranges": dict(model.ranges), "scores": list(model.scores),
        "masses": [mass for node in nodes for mass in (node.l_mass, node.r_mass)],
        "counter": trees.counter if trees else 0, "first_window": trees._first_window if trees else True,  # noqa: SLF001
    }  # fmt: skip


def _with_margin(low: float, high: float) -> tuple[float, float]:
    margin = max(0.5 * (high - low), 0.05 * max(abs(low), abs(high)), 1e-6)
    return low - margin, high + margin


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
