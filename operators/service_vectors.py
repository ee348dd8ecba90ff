"""The vectors of services in one shard: the windows of a service's metrics put together and judged as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.blocks import Assignment, Candidate, WindowBlock
from operators.detectors.contract import Rows
from operators.detectors.half_space_trees import HalfSpaceTrees
from operators.detectors.settings import HalfSpaceTreesSettings
from operators.detectors.tree_snapshot import Component
from operators.rules import DetectionSettings
from sentinel.series import SERVICE_LABEL, Series


@dataclass(frozen=True, slots=True)
class VectorRow:
    """One judged vector: its slot, the row of the block that stands for its window, its score and its values."""

    slot: int
    row: int
    score: float
    values: dict[str, float]
    candidate: Candidate | None


class ServiceVectors:
    """The half-space trees of one shard behind its vector rules; 0.5 ms a vector."""

    def __init__(self, settings: DetectionSettings) -> None:
        """Nothing learned yet."""
        self.settings = settings
        self.trees: dict[str, HalfSpaceTrees] = {}
        for rule in settings.vectors.values():
            name = rule.detectors[0]
            detector = settings.detectors[name]
            if isinstance(detector, HalfSpaceTreesSettings):
                self.trees[name] = HalfSpaceTrees(name, detector)
        self._groups: dict[int, tuple[int, str]] = {}
        self._rules: dict[int, str] = {}
        self._born: dict[int, float] = {}

    def assign(self, each: Assignment) -> None:
        """Start a slot anew: a vector's own, or one of its components."""
        self.release(each.slot)
        trees = self.trees[self.settings.vectors[each.rule].detectors[0]]
        if each.group < 0:
            self._rules[each.slot] = each.rule
            trees.assign(each.slot)
        else:
            self._groups[each.slot] = (each.group, component_name(each.series))
            trees.assign_component(each.slot)

    def release(self, slot: int) -> None:
        """Forget a slot; one that was never assigned is fine."""
        self._groups.pop(slot, None)
        self._rules.pop(slot, None)
        self._born.pop(slot, None)
        for trees in self.trees.values():
            trees.release(slot)

    def judge(self, name: str, block: WindowBlock, at: npt.NDArray[np.intp]) -> list[VectorRow]:
        """Judge the vectors of one rule in the order of time; `at` are the rows of the block with their components."""
        trees = self.trees[self.settings.vectors[name].detectors[0]]
        means, scales = trees.place(Rows(block.slots[at], block.starts[at], block.values[at]))
        vectors: dict[tuple[float, int], tuple[int, dict[str, Component]]] = {}
        for i, row in enumerate(at.tolist()):
            group, component = self._groups[int(block.slots[row])]
            _, vector = vectors.setdefault((float(block.ends[row]), group), (row, {}))
            vector[component] = Component(float(block.values[row]), float(means[i]), float(scales[i]))
        return [
            self._judge(group, row, float(block.starts[row]), vector) for (_, group), (row, vector) in sorted(vectors.items())
        ]  # fmt: skip

    def dump(self) -> dict[str, Any]:
        """When each vector had its first window; the trees are dumped by their own names."""
        return {"v": 1, "born": dict(self._born)}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self._born = dict(state["born"])

    def _judge(self, group: int, row: int, start: float, vector: dict[str, Component]) -> VectorRow:
        rule = self.settings.vectors[self._rules[group]]
        name = rule.detectors[0]
        trees = self.trees[name]
        scored = trees.score(group, vector)
        candidate = None
        if scored.unusual:
            veto = rule.warming_up(start - self._born.setdefault(group, start))
            frozen = {name: trees.snapshot(group, vector, scored)}
            candidate = Candidate((trees.explain(group, vector, scored),), frozen, veto)
        self._born.setdefault(group, start)
        trees.observe(group, vector)
        return VectorRow(group, row, scored.score, {key: each.value for key, each in vector.items()}, candidate)


def component_name(series: Series) -> str:
    """The name of a series within its service's vector: without the service, which all share.

    >>> component_name(Series.of("cpu_ratio", {"service": "cart"}))
    'cpu_ratio'
    """
    labels = tuple((key, value) for key, value in series.labels if key != SERVICE_LABEL)
    return Series(series.name, labels).key if labels else series.name
