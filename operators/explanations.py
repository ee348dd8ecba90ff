"""Why a series did or did not alert in one window, recomputed from its recorded points. Pure.

The points run through the same `ShardCore` as in the live flow; beside it every detector of the series' rule is asked what
it said about the window, candidate or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from operators.blocks import Numbers, ShardBlock
from operators.detectors.contract import Rows, number
from operators.detectors.registry import build
from operators.detectors.settings import HalfSpaceTreesSettings
from operators.rules import DetectionSettings, Rule
from operators.shard_core import ShardCore, shard_blocks
from operators.shard_detectors import guard_of
from operators.windows import Windows
from sentinel.alerts import AlertMessage, AlertState, Finding
from sentinel.decisions import Decision
from sentinel.series import Series, Window


class Outcome(StrEnum):
    """What became of a window."""

    NO_RULE = "no_rule"
    NO_DATA = "no_data"
    USUAL = "usual"
    NOT_CONFIRMED = "not_confirmed"
    PENDING = "pending"
    FIRED = "fired"
    FIRING = "firing"


@dataclass(frozen=True, slots=True)
class DetectorWord:
    """What one detector said about the window. `holds_back`: it stands under `unless`; `finding` is None while warming up."""

    detector: str
    holds_back: bool
    unusual: bool
    finding: Finding | None

    @property
    def sentence(self) -> str:
        """For a person."""
        if self.finding is None:
            return f"{self.detector}: warming up"
        return f"{self.detector}: {'unusual' if self.unusual else 'usual'}; {self.finding.text}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer, as rows and as sentences. `alerts` are the messages of an alert that was firing in the window."""

    series: Series
    window: Window | None
    value: float | None
    rule: str
    outcome: Outcome
    reason: str
    words: tuple[DetectorWord, ...] = ()
    decision: Decision | None = None
    alerts: tuple[AlertMessage, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """The whole answer for a person, the outcome first."""
        lines = [f"{self.outcome.value}: {self.reason}"]
        if self.value is not None:
            lines.append(f"rule {self.rule}: the window's value is {number(self.value)}")
        return lines + [word.sentence for word in self.words]


def explain(settings: DetectionSettings, series: Series, times: Numbers, values: Numbers, at: float) -> Explanation:
    """Why the series did or did not alert in the window that holds `at`, from its recorded points up to then and after.

    Give at least as much history before `at` as the rule's warm-up and its detectors need (two weeks for the hour of the
    week); the answer is exact when it is the whole history. About 1 us a point.
    """
    found = settings.rule_for(series)
    if found is None:
        return Explanation(series, None, None, "", Outcome.NO_RULE, "no rule matches the series")
    name, rule = found
    window = Window(at // rule.window * rule.window, at // rule.window * rule.window + rule.window)
    blocks = _until(series, times, values, window.end, settings.lateness)
    own = settings.model_copy(update={"vectors": {}})
    alerts, decisions = _said(own, blocks, window)
    rows = _windows(own, blocks)
    index = np.flatnonzero(rows.times == window.start)
    if not len(index):
        reason = alerts[0].reason if alerts else "there is no event in the window"
        return Explanation(series, window, None, name, Outcome.NO_DATA, reason, alerts=alerts)
    at_row = int(index[0])
    words = tuple(_word(settings, rule, detector, rows, at_row) for detector in (*rule.detectors, *rule.unless))
    decision = decisions[0] if decisions else None
    outcome, reason = _outcome(rule, decision, alerts, words)
    return Explanation(series, window, float(rows.values[at_row]), name, outcome, reason, words, decision, alerts)


def _until(series: Series, times: Numbers, values: Numbers, end: float, lateness: float) -> list[ShardBlock]:
    """The points up to the window's end, and an empty block whose high mark closes it."""
    taken = [(float(t), float(v)) for t, v in zip(times, values, strict=True) if t < end]
    blocks = list(shard_blocks([(series, [t for t, _ in taken], [v for _, v in taken])]))
    nothing, none = np.empty(0), np.empty(0, np.uint64)
    return [*blocks, ShardBlock("0/0", nothing, nothing, none, np.empty((0, 2), np.uint64), nothing, end + lateness)]


def _said(
    settings: DetectionSettings, blocks: list[ShardBlock], window: Window
) -> tuple[tuple[AlertMessage, ...], list[Decision]]:
    """What the core said about the window."""
    core = ShardCore(settings)
    alerts: list[AlertMessage] = []
    decisions: list[Decision] = []
    for block in blocks:
        said, decided = core.feed(block)
        alerts += [message for message in said if message.window == window]
        decisions += [row for row in decided if row.at == window.end]
    return tuple(alerts), decisions


def _windows(settings: DetectionSettings, blocks: list[ShardBlock]) -> Rows:
    """Every closed window of the series as rows of one slot."""
    windows = Windows(settings)
    closed = [windows.feed(block) for block in blocks]
    starts, values = (np.concatenate([getattr(each, name) for each in closed]) for name in ("starts", "values"))
    return Rows(np.zeros(len(starts), np.int32), starts, values)


def _word(settings: DetectionSettings, rule: Rule, name: str, rows: Rows, at_row: int) -> DetectorWord:
    own = settings.detectors[name]
    if isinstance(own, HalfSpaceTreesSettings):
        raise TypeError(f"{name} judges vectors, not single series")
    detector = build(name, own, rule.max_firing)
    detector.assign(0, guard_of(rule))
    scores = detector.observe(rows)
    if np.isnan(scores.score[at_row]):
        return DetectorWord(name, name in rule.unless, unusual=False, finding=None)
    unusual = scores.unusual_at(at_row, float(rows.values[at_row]))
    return DetectorWord(name, name in rule.unless, unusual, detector.explain(rows, scores, at_row))


def _outcome(
    rule: Rule, decision: Decision | None, alerts: tuple[AlertMessage, ...], words: tuple[DetectorWord, ...]
) -> tuple[Outcome, str]:
    for message in alerts:
        if message.state is AlertState.UPDATE:
            return (
                Outcome.FIRING,
                f"alert {message.alert_id} was firing; this window was {message.verdict}: {message.reason}",
            )
    if decision is not None:
        fired = decision.verdict in {"fired", "would_fire"}
        return (Outcome.FIRED if fired else Outcome(decision.verdict)), decision.reason
    if all(word.finding is None for word in words if not word.holds_back):
        return Outcome.USUAL, f"no detector of the rule has seen enough windows yet ({', '.join(rule.detectors)})"
    return Outcome.USUAL, f"inside the band of every detector that proposes ({', '.join(rule.detectors)})"
