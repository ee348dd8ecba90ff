"""River's half-space trees on the vector of a service: unusual combinations of metrics, no labels needed.

Tan, Ting, Liu, "Fast anomaly detection for streaming data", IJCAI 2011. Each metric enters as its signed distance from its
own rolling mean in deviations (the rolling z-score, clipped to 8), so that usual vectors lie close together whatever the hour;
the score is near 1 where few vectors were seen. A vector is unusual when its score passes a high quantile of the scores
before it by `margin`, and is then learned with each component clipped to 3 deviations.
Cost: 0.5 ms a vector, 0.5 MB a service (3,000 tree nodes).
"""

from __future__ import annotations

import importlib
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from operators.blocks import Floats, Frozen
from operators.detectors.contract import Guard, Rows, number
from operators.detectors.settings import HalfSpaceTreesSettings, ZScoreSettings
from operators.detectors.tree_snapshot import REACH, Component, tree_lists
from operators.detectors.zscore import ZScore
from sentinel.alerts import Finding

MEMORY = 672
"""Scores that the quantile is taken from: a week of 15-minute windows."""
FEW_SCORES = 96
"""Scores needed before their quantile means anything."""
CLIP = 3.0
"""Deviations that a component of an unusual vector is learned with at most."""

Vector = Mapping[str, Component]


@dataclass(slots=True)
class _Model:
    """The state of one service. `trees` is River's `HalfSpaceTrees` once a whole vector was seen."""

    names: tuple[str, ...] = ()
    trees: Any = None
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
    """Half-space trees for every service of a shard: the contract of the detectors for one vector at a time."""

    def __init__(self, name: str, settings: HalfSpaceTreesSettings) -> None:
        """Empty; `name` is the detector's name in the configuration."""
        self._name, self._settings = name, settings
        self._models: dict[int, _Model] = {}
        window = settings.centre
        self._centres = ZScore(
            f"{name}.centre", ZScoreSettings(window=window, min_windows=max(4, window // 2), floor=0.05)
        )

    def assign(self, slot: int) -> None:
        """Start the vector of a service anew."""
        self._models[slot] = _Model()

    def assign_component(self, slot: int) -> None:
        """Start one metric of a service anew."""
        self._centres.assign(slot, Guard())

    def release(self, slot: int) -> None:
        """Forget a slot of either sort; one that was never assigned is fine."""
        self._models.pop(slot, None)
        self._centres.release(slot)

    def place(self, rows: Rows) -> tuple[Floats, Floats]:
        """Mean and deviation of each metric before its row, NaN while warming up; learns the rows."""
        scores = self._centres.observe(rows)
        return scores.expected, scores.scale

    def score(self, slot: int, vector: Vector) -> VectorScore:
        """Score a vector against the present state; changes nothing."""
        model = self._models[slot]
        if model.trees is None or len(model.scores) < FEW_SCORES:
            return VectorScore(math.nan, math.nan)
        limit = float(np.quantile(np.array(model.scores), self._settings.quantile)) + self._settings.margin
        return VectorScore(float(model.trees.score_one(self._point(model, vector))), limit)

    def learn(self, slot: int, vector: Vector, reach: float = REACH) -> None:
        """Take a vector in, no component further out than `reach` deviations."""
        model = self._models[slot]
        if model.trees is None:
            if any(math.isnan(each.mean) for each in vector.values()):
                return
            model.names = tuple(sorted(vector))
            model.trees = self._plant(model.names)
        point = self._point(model, vector)
        if not model.trees._first_window:  # noqa: SLF001 (River has no other way to ask whether it scores yet)
            model.scores.append(float(model.trees.score_one(point)))
        model.trees.learn_one({name: min(max(value, -reach), reach) for name, value in point.items()})

    def observe(self, slot: int, vector: Vector) -> VectorScore:
        """Score, then learn; an unusual vector is learned clipped."""
        scored = self.score(slot, vector)
        self.learn(slot, vector, CLIP if scored.unusual else REACH)
        return scored

    def explain(self, slot: int, vector: Vector, scored: VectorScore) -> Finding:
        """What was found in one vector: names the metrics that lie furthest from their own mean."""
        point = self._point(self._models[slot], vector)
        furthest = sorted(point, key=lambda name: abs(point[name]), reverse=True)[:2]
        saw = " and ".join(
            f"{name} {number(vector[name].value)} ({number(abs(point[name]))} deviations {'above' if point[name] > 0 else 'below'})"
            for name in furthest
        )
        text = f"the metrics of the service together are unusual (score {scored.score:.3f}, usual up to {scored.threshold:.3f}): {saw}"
        return Finding(detector=self._name, score=scored.score, threshold=scored.threshold, text=text)

    def snapshot(self, slot: int, vector: Vector, scored: VectorScore) -> Frozen:
        """Trees, means and deviations as flat lists with the threshold, for `tree_snapshot.judge_vector`."""
        model, own = self._models[slot], self._settings
        known = {name: vector[name] for name in model.names if name in vector and not math.isnan(vector[name].mean)}
        frozen: Frozen = {f"component:{name}": float(i) for i, name in enumerate(known)}
        frozen |= {
            "mean": [each.mean for each in known.values()], "scale": [each.scale for each in known.values()],
            "threshold": scored.threshold, "height": float(own.height), "window": float(own.window), "trees": float(own.trees),
        }  # fmt: skip
        return frozen | tree_lists(model.trees, tuple(known))

    def dump(self) -> dict[str, Any]:
        """The state as plain dicts, copied."""
        models = {slot: _dump_model(model) for slot, model in self._models.items()}
        return {"v": 1, "models": models, "centres": self._centres.dump()}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self._models = {slot: self._load_model(model) for slot, model in state["models"].items()}
        self._centres.load(state["centres"])

    def _point(self, model: _Model, vector: Vector) -> dict[str, float]:
        """Where the vector lies in the space of the trees; a metric that is warming up or unknown is left out."""
        return {
            name: vector[name].distance for name in model.names if name in vector and not math.isnan(vector[name].mean)
        }  # fmt: skip

    def _plant(self, names: tuple[str, ...]) -> Any:
        own = self._settings
        river = importlib.import_module("river.anomaly")  # on first use: the import takes two seconds
        limits = dict.fromkeys(names, (-REACH, REACH))
        return river.HalfSpaceTrees(
            n_trees=own.trees, height=own.height, window_size=own.window, limits=limits, seed=own.seed
        )  # fmt: skip

    def _load_model(self, packed: dict[str, Any]) -> _Model:
        model = _Model(packed["names"], None, deque(packed["scores"], maxlen=MEMORY))
        if packed["masses"]:
            model.trees = self._plant(model.names)
            model.trees.learn_one(dict.fromkeys(model.names, 0.0))  # River plants with the first vector
            masses = iter(packed["masses"])
            for node in (node for tree in model.trees._tree_nodes for node in tree):  # noqa: SLF001 (no import either)
                node.l_mass, node.r_mass = islice(masses, 2)
            model.trees.counter, model.trees._first_window = packed["counter"], packed["first_window"]  # noqa: SLF001
        return model


def _dump_model(model: _Model) -> dict[str, Any]:
    trees = model.trees
    nodes = [node for tree in trees._tree_nodes for node in tree] if trees else []  # noqa: SLF001 (River offers no export)
    return {
        "names": model.names, "scores": list(model.scores),
        "masses": [mass for node in nodes for mass in (node.l_mass, node.r_mass)],
        "counter": trees.counter if trees else 0, "first_window": trees._first_window if trees else True,  # noqa: SLF001
    }  # fmt: skip
