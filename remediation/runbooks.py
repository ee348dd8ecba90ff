"""Runbooks: YAML files that say which faults they fit and what to do. Checked when they are loaded, with `file:line`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from remediation.action_types import IntegerParam
from remediation.catalogue import CATALOGUE, Step, check_params
from remediation.evidence import Analysis, recent_changes
from sentinel.alerts import FaultKind
from sentinel.config import Section
from sentinel.config_files import load_file
from sentinel.errors import ConfigError, RefusedError
from sentinel.incidents import IncidentAlert
from sentinel.plans import Scalar


class ChangeMatch(Section):
    """A change at the first suspect shortly before the fault."""

    kind: str = "deploy"
    """Kind of change, without `change.`. Default `deploy`."""
    within: Annotated[float, Field(gt=0)] = 7200.0
    """Seconds before the first abnormal window. Default two hours."""


class Match(Section):
    """When a runbook fits: one alert of the incident meets every line, at the first suspect where it has alerts."""

    kinds: tuple[FaultKind, ...] = Field(min_length=1)
    """Kinds of fault. At least one."""
    metrics: tuple[str, ...] = ("*",)
    """Patterns of the metric's name. Default any."""
    rules: tuple[str, ...] = ("*",)
    """Patterns of the detection rule's name. Default any."""
    services: tuple[str, ...] = ("*",)
    """Patterns of the first suspect's name. Default any."""
    labels: dict[str, str] = {}
    """Label of the series to pattern. Default none."""
    change: ChangeMatch | None = None
    """The first suspect must have changed like this. Default not asked."""
    no_change: ChangeMatch | None = None
    """The first suspect must not have changed like this; never fits while changes are unknown. Default not asked."""


class FromState(Section):
    """A parameter that is computed from the live target: the field `state`, plus `add`, kept within the bounds."""

    state: str
    """Field of the target's state, such as `replicas`."""
    add: int = 0
    """What is added. Default 0."""


class RunbookStep(Section):
    """One action."""

    action: str
    """Action type of the catalogue."""
    target: Literal["suspect"] = "suspect"
    """Which service is acted on. Default and only choice so far: the first suspect."""
    params: dict[str, Scalar | FromState] = {}
    """Parameters of the action, fixed or computed from the live target."""
    reason: str = Field(min_length=1)
    """Why this should help; shown to the person who approves."""

    @model_validator(mode="after")
    def _in_catalogue(self) -> RunbookStep:
        entry = CATALOGUE.get(self.action)
        if entry is None or not entry.plannable:
            known = ", ".join(sorted(name for name, one in CATALOGUE.items() if one.plannable))
            raise ValueError(f"there is no action {self.action!r}; there are {known}")
        stand_ins = {name: param.low for name, param in entry.params.items() if isinstance(param, IntegerParam)}
        fixed = {
            name: stand_ins.get(name, 0) if isinstance(value, FromState) else value
            for name, value in self.params.items()
        }
        try:
            check_params(entry, fixed)
        except RefusedError as error:
            raise ValueError(error.reason) from None
        return self


class Runbook(Section):
    """One file: when it fits, what it does, what should come of it."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    """Unique name; outcomes and recurrences cite it."""
    title: str = Field(min_length=1)
    """One line for a person."""
    priority: int = 100
    """Runbooks that fit are tried in this order, lowest first. Default 100."""
    match: Match
    """When it fits."""
    steps: tuple[RunbookStep, ...] = Field(min_length=1)
    """What it does, in order."""
    expect: str = Field(min_length=1)
    """What should be seen afterwards; shown to the person who approves."""


def load_runbooks(folder: Path) -> tuple[Runbook, ...]:
    """Read every `*.yaml` of a folder, in order of priority and name.

    Raises `ConfigError` that names `file:line` and the key; also for a folder without runbooks and a name that two
    files give.
    """
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise ConfigError(f"{folder}: no runbook (*.yaml) in this folder; set remediation.runbooks")
    seen: dict[str, Path] = {}
    books = []
    for file in files:
        book = load_file(file, Runbook, {})
        if book.name in seen:
            raise ConfigError(f"{file}:1: the name {book.name!r} is taken by {seen[book.name]}; choose another")
        seen[book.name] = file
        books.append(book)
    return tuple(sorted(books, key=lambda one: (one.priority, one.name)))


def fits(book: Runbook, analysis: Analysis) -> tuple[str, ...]:
    """Ids of the evidence that makes a runbook fit; empty when it does not."""
    match, incident, suspect = book.match, analysis.incident, analysis.suspect
    if not _any(match.services, suspect):
        return ()
    at_suspect = [alert for alert in incident.alerts if alert.series.service == suspect]
    meeting = [alert for alert in at_suspect or incident.alerts if _meets(match, alert)]
    if not meeting:
        return ()
    cites = [item for alert in meeting for item in analysis.ids("alert", alert.series.service)]
    if match.no_change and not _unchanged(match.no_change, analysis):
        return ()
    if match.change:
        if not recent_changes(incident, suspect, match.change.kind, match.change.within):
            return ()
        cites.extend(analysis.ids("change", suspect))
    return tuple(dict.fromkeys(cites))


def steps_of(book: Runbook, analysis: Analysis) -> tuple[Step, ...] | None:
    """The steps with their parameters computed; None when one cannot be (unknown target or field, already at a bound).

    None too when a step belongs to another backend than the target.
    """
    state, target = analysis.states.get(analysis.suspect), analysis.targets.get(analysis.suspect)
    if target is None or state is None:
        return None
    steps = []
    for step in book.steps:
        if not CATALOGUE[step.action].belongs(target.backend):
            return None
        params = {name: _compute(step.action, name, value, state) for name, value in step.params.items()}
        known = {name: value for name, value in params.items() if value is not None}
        if len(known) < len(params):
            return None
        steps.append(Step(type=step.action, service=analysis.suspect, params=known, reason=step.reason))
    return tuple(steps)


def _compute(action: str, name: str, value: Scalar | FromState, state: Mapping[str, Scalar]) -> Scalar | None:
    if not isinstance(value, FromState):
        return value
    current = state.get(value.state)
    if not isinstance(current, int) or isinstance(current, bool):
        return None
    wanted = current + value.add
    bounds = CATALOGUE[action].params[name]
    if isinstance(bounds, IntegerParam):
        wanted = min(max(wanted, bounds.low), bounds.high)
    return None if value.add and wanted == current else wanted


def _meets(match: Match, alert: IncidentAlert) -> bool:
    return (
        alert.kind in match.kinds
        and _any(match.metrics, alert.series.name)
        and _any(match.rules, alert.rule)
        and all(fnmatchcase(alert.series.label(key), pattern) for key, pattern in match.labels.items())
    )


def _unchanged(rule: ChangeMatch, analysis: Analysis) -> bool:
    changed = recent_changes(analysis.incident, analysis.suspect, rule.kind, rule.within)
    return analysis.changes_known and not changed


def _any(patterns: Sequence[str], text: str) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)
