"""The detectors of one shard, put together by its rules: closed windows in, candidates with their findings out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.blocks import Assignment, Candidate, Floats, Frozen, ScoredBlock, Slots, WindowBlock, pack, unpack
from operators.detectors.contract import Guard, PointDetector, Rows, Scores, number
from operators.detectors.half_space_trees import HalfSpaceTrees
from operators.detectors.registry import build
from operators.detectors.settings import HalfSpaceTreesSettings
from operators.rules import RANGE, DetectionSettings, Direction, Rule
from sentinel.alerts import Finding


class ShardDetectors:
    """All detectors of one shard. `feed` costs about 0.5 us a row with the built-in rules, and 0.5 ms a service vector."""

    def __init__(self, settings: DetectionSettings) -> None:
        """Nothing learned yet."""
        self.settings = settings
        self._rules = [*settings.rules.items(), *settings.vectors.items()]
        self._codes: Slots = np.full(64, -1, np.int32)
        self._groups: Slots = np.full(64, -1, np.int32)
        self._born: Floats = np.full(64, np.nan)
        self._assignments: dict[int, Assignment] = {}
        horizon = max((rule.max_firing for rule in settings.rules.values()), default=3600.0)
        self._points: dict[str, PointDetector] = {}
        self._trees: dict[str, HalfSpaceTrees] = {}
        for name in dict.fromkeys(name for _, rule in self._rules for name in (*rule.detectors, *rule.unless)):
            detector = settings.detectors[name]
            if isinstance(detector, HalfSpaceTreesSettings):
                self._trees[name] = HalfSpaceTrees(name, detector)
            else:
                self._points[name] = build(name, detector, horizon)

    def feed(self, block: WindowBlock) -> ScoredBlock:
        """Score and learn a block's rows; returns them with the candidates among them and the vectors of services."""
        for each in block.assigned:
            self._assign(each)
        self._note_births(block)
        codes = self._codes[block.slots]
        candidates: dict[int, Candidate] = {}
        for code, (_, rule) in enumerate(self._rules[: len(self.settings.rules)]):
            at = np.flatnonzero(codes == code)
            if len(at):
                candidates |= self._apply(rule, block, at)
        if not self.settings.vectors:
            return self._scored(block, np.arange(len(codes)), candidates)
        points = np.flatnonzero((codes >= 0) & (codes < len(self.settings.rules)))
        return self._with_vectors(block, codes, self._scored(block, points, candidates))

    def snapshot(self) -> dict[str, Any]:
        """The state as plain dicts and arrays, copied. A detector's state stands beside the hash of its settings."""
        detectors: dict[str, PointDetector | HalfSpaceTrees] = {**self._points, **self._trees}
        return {
            "v": 1, "assignments": [pack(each) for each in self._assignments.values()], "born": self._born.copy(),
            "detectors": {name: (self.settings.detectors[name].hash, each.dump()) for name, each in detectors.items()},
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a snapshot. A detector that is new or has other settings than before starts anew."""
        for packed in state["assignments"]:
            self._assign(unpack(packed))
        self._born[: len(state["born"])] = state["born"]
        for name, (settings_hash, dumped) in state["detectors"].items():
            detector = self._points.get(name) or self._trees.get(name)
            if detector is not None and self.settings.detectors[name].hash == settings_hash:
                detector.load(dumped)

    def _assign(self, each: Assignment) -> None:
        slot = each.slot
        while slot >= len(self._codes):
            self._codes, self._groups = (
                np.concatenate([a, np.full(len(a), -1, np.int32)]) for a in (self._codes, self._groups)
            )
            self._born = np.concatenate([self._born, np.full(len(self._born), np.nan)])
        self._codes[slot], self._groups[slot], self._born[slot] = -1, each.group, np.nan
        for point in self._points.values():
            point.release(slot)
        for trees in self._trees.values():
            trees.release(slot)
        self._assignments.pop(slot, None)
        rule = self.settings.rule(each.rule)
        if rule is None:
            return
        self._assignments[slot] = each
        is_vector = each.rule in self.settings.vectors
        if not is_vector or each.group >= 0:
            self._codes[slot] = [name for name, _ in self._rules].index(each.rule)
        if is_vector and each.group < 0:
            self._trees[rule.detectors[0]].assign(slot)
        if not is_vector:
            for name in (*rule.detectors, *rule.unless):
                self._points[name].assign(slot, guard_of(rule))

    def _note_births(self, block: WindowBlock) -> None:
        """Remember when each slot had its first window."""
        new = np.flatnonzero(np.isnan(self._born[block.slots]))
        if len(new):
            slots, first = np.unique(block.slots[new], return_index=True)
            self._born[slots] = block.starts[new][first]
            groups = self._groups[slots]
            for group, start in zip(groups[groups >= 0], block.starts[new][first][groups >= 0], strict=True):
                if np.isnan(self._born[group]):
                    self._born[group] = start

    def _apply(self, rule: Rule, block: WindowBlock, at: npt.NDArray[np.intp]) -> dict[int, Candidate]:
        """One rule over its rows; keys are rows of the block."""
        rows = Rows(block.slots[at], block.starts[at], block.values[at])
        proposals = {name: self._points[name].observe(rows) for name in rule.detectors}
        low, high = rule.range or (-math.inf, math.inf)
        unusual = (rows.values < low) | (rows.values > high)
        for scores in proposals.values():
            unusual |= outside(rows, scores)
        found = np.flatnonzero(unusual)
        keep = frozenset(found.tolist())
        vetoes = {name: self._points[name].observe(rows, keep) for name in rule.unless}
        return {int(at[i]): self._candidate(rule, rows, proposals, vetoes, i) for i in found.tolist()}

    def _candidate(
        self, rule: Rule, rows: Rows, proposals: dict[str, Scores], vetoes: dict[str, Scores], i: int
    ) -> Candidate:
        findings: list[Finding] = []
        frozen: dict[str, Frozen] = {}
        value = float(rows.values[i])
        if rule.range:
            frozen[RANGE] = {"low": rule.range[0], "high": rule.range[1]}
            if not rule.range[0] <= value <= rule.range[1]:
                findings.append(range_finding(rule.range, value))
        veto = "" if findings else self._warming_up(rule, int(rows.slots[i]), float(rows.times[i]))
        for name, scores in proposals.items():
            if not np.isnan(scores.score[i]):
                frozen[name] = self._points[name].snapshot(scores, i)
                if scores.low[i] > value or scores.high[i] < value:
                    findings.append(self._points[name].explain(rows, scores, i))
        for name, scores in vetoes.items():
            if not np.isnan(scores.score[i]):
                frozen[name] = self._points[name].snapshot(scores, i)
                said = self._points[name].explain(rows, scores, i)
                findings.append(said)
                if scores.low[i] <= value <= scores.high[i] and RANGE not in (finding.detector for finding in findings):
                    veto = veto or said.text
        return Candidate(tuple(findings), frozen, veto)

    def _warming_up(self, rule: Rule, slot: int, start: float) -> str:
        age = start - float(self._born[slot])
        if age >= rule.warm_up:
            return ""
        return f"warming up: {age / 3600:.1f} of {rule.warm_up / 3600:.1f} hours of the series' own history seen"

    def _scored(self, block: WindowBlock, at: npt.NDArray[np.intp], candidates: dict[int, Candidate]) -> ScoredBlock:
        place = {int(row): new for new, row in enumerate(at)} if candidates else {}
        return ScoredBlock(
            block.shard, block.slots[at], block.starts[at], block.ends[at], block.values[at], block.traces[at],
            block.watermark, {place[row]: each for row, each in candidates.items()}, {}, block.assigned,
        )  # fmt: skip

    def _with_vectors(self, block: WindowBlock, codes: Slots, scored: ScoredBlock) -> ScoredBlock:
        """Put the components of each service's window together, judge the vectors, and add them as rows."""
        vectors: dict[tuple[float, int], tuple[int, dict[str, float]]] = {}
        for row in np.flatnonzero(codes >= len(self.settings.rules)).tolist():
            slot = int(block.slots[row])
            _, vector = vectors.setdefault((float(block.ends[row]), int(self._groups[slot])), (row, {}))
            vector[self._assignments[slot].series.name] = float(block.values[row])
        if not vectors:
            return scored
        first = len(scored.slots)
        candidates, kept, values = dict(scored.candidates), dict(scored.vectors), []
        for i, ((_, group), (row, vector)) in enumerate(sorted(vectors.items())):
            rule = self.settings.vectors[self._assignments[group].rule]
            trees = self._trees[rule.detectors[0]]
            score = trees.score(group, vector)
            if score.unusual:
                veto = self._warming_up(rule, group, float(block.starts[row]))
                frozen = {rule.detectors[0]: trees.snapshot(group, score)}
                candidates[first + i] = Candidate((trees.explain(group, vector, score),), frozen, veto)
            trees.observe(group, vector)
            kept[first + i] = vector
            values.append(score.score)
        rows = np.array([row for _, (row, _) in sorted(vectors.items())])
        groups = np.array([group for _, group in sorted(vectors)], np.int32)
        return in_order(ScoredBlock(
            block.shard, np.concatenate([scored.slots, groups]), np.concatenate([scored.starts, block.starts[rows]]),
            np.concatenate([scored.ends, block.ends[rows]]), np.concatenate([scored.values, values]),
            np.concatenate([scored.traces, block.traces[rows]]), block.watermark, candidates, kept, block.assigned,
        ))  # fmt: skip


def guard_of(rule: Rule) -> Guard:
    """The part of a rule that widens the bands of its detectors."""
    return Guard(
        rule.min_absolute,
        rule.min_relative,
        up=rule.direction is not Direction.DOWN,
        down=rule.direction is not Direction.UP,
    )


def outside(rows: Rows, scores: Scores) -> npt.NDArray[np.bool_]:
    """Which rows lie outside the band; never one whose detector is warming up."""
    return (rows.values < scores.low) | (rows.values > scores.high)


def range_finding(bounds: tuple[float, float], value: float) -> Finding:
    """The finding for a value outside its rule's data range."""
    low, high = bounds
    text = f"{number(value)} lies outside the data range {number(low)} to {number(high)}"
    return Finding(detector=RANGE, score=1.0, threshold=0.0, low=low, high=high, text=text)


def in_order(block: ScoredBlock) -> ScoredBlock:
    """The same rows ordered by end, then slot."""
    order = np.lexsort((block.slots, block.ends))
    place = {int(old): new for new, old in enumerate(order)}
    return ScoredBlock(
        block.shard, block.slots[order], block.starts[order], block.ends[order], block.values[order], block.traces[order],
        block.watermark, {place[row]: each for row, each in block.candidates.items()},
        {place[row]: each for row, each in block.vectors.items()}, block.assigned,
    )  # fmt: skip
