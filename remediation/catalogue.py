"""The action catalogue: what can be done at all, with which parameters, at what risk. Planners choose; they never set.

A planner hands in a `Proposal`, which has no place for risk, downtime or reversibility. `assemble` turns it into a
`Plan` with the catalogue's values, and refuses unknown types, parameters out of bounds and targets that the analysis
does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from remediation.action_types import ActionType, IntegerParam, TextParam
from remediation.aws_types import AWS_TYPES
from remediation.kubernetes_types import KUBERNETES_TYPES
from sentinel.canonical import digest, short_id
from sentinel.errors import RefusedError
from sentinel.plans import Action, Plan, Risk, Scalar, Target

_TYPES = (
    ActionType(
        name="restart",
        text="restart every replica, one after the other",
        params={},
        risk=Risk.LOW,
        expected_downtime=20.0,
    ),
    ActionType(
        name="rollback",
        text="put the previous version back",
        params={},
        risk=Risk.MEDIUM,
        expected_downtime=30.0,
        inverse="deploy",
    ),
    ActionType(
        name="scale",
        text="change the number of replicas",
        params={"replicas": IntegerParam(low=1, high=20)},
        risk=Risk.LOW,
        expected_downtime=0.0,
        inverse="scale",
    ),
    ActionType(
        name="deploy",
        text="put a named version in place",
        params={"version": TextParam(pattern=r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")},
        risk=Risk.HIGH,
        expected_downtime=30.0,
        inverse="deploy",
        plannable=False,
    ),
)

CATALOGUE: Mapping[str, ActionType] = {entry.name: entry for entry in (*_TYPES, *AWS_TYPES, *KUBERNETES_TYPES)}
"""Every action type by name. Those of one backend alone have a module of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a planner proposes to do: no risk, no downtime, no reversibility, because those are not a planner's to say."""

    type: str
    service: str
    params: dict[str, Scalar]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A planner's answer; `cites` holds the ids of the evidence it rests on."""

    planner: str
    runbook: str
    summary: str
    steps: tuple[Step, ...]
    cites: tuple[str, ...]


def check_params(action_type: ActionType, params: Mapping[str, Scalar]) -> None:
    """Raise `RefusedError` (rule `catalogue`) unless `params` are exactly the ones that the type takes, in bounds."""
    if unknown := sorted(params.keys() - action_type.params.keys()):
        raise RefusedError("catalogue", f"{action_type.name} has no parameter {', '.join(unknown)}")
    for name, param in action_type.params.items():
        if name not in params:
            raise RefusedError("catalogue", f"{action_type.name} needs the parameter {name}")
        if problem := param.problem(params[name]):
            raise RefusedError("catalogue", f"{action_type.name}: {name} {problem}")


def find_type(name: str) -> ActionType:
    """The entry of the catalogue; raises `RefusedError` (rule `catalogue`) for a type that it does not have."""
    entry = CATALOGUE.get(name)
    if entry is None:
        raise RefusedError("catalogue", f"there is no action {name!r}; there are {', '.join(sorted(CATALOGUE))}")
    return entry


def check_backend(action_type: ActionType, target: Target) -> None:
    """Raise `RefusedError` (rule `catalogue`) when the type belongs to another backend than the target's."""
    if not action_type.belongs(target.backend):
        raise RefusedError("catalogue", f"{action_type.name} is of {action_type.backend}, {target.key} is not")


def make_action(action_id: str, step: Step, target: Target) -> Action:
    """An action with the catalogue's risk, downtime and reversibility; raises `RefusedError` for a step that misfits."""
    entry = find_type(step.type)
    check_backend(entry, target)
    check_params(entry, step.params)
    return Action(
        id=action_id,
        type=entry.name,
        target=target,
        params=dict(step.params),
        risk=entry.risk,
        expected_downtime=entry.expected_downtime,
        reversible=entry.reversible,
        reason=step.reason,
    )


def assemble(proposal: Proposal, incident_id: str, attempt: int, targets: Mapping[str, Target]) -> Plan:
    """Make a plan of a proposal. `targets` are the services that the analysis knows; no text can name another one.

    Raises `RefusedError` (rule `catalogue`) for an empty proposal or a step that the catalogue or `targets` refuse.
    """
    if not proposal.steps:
        raise RefusedError("catalogue", "the proposal has no step")
    plan_id = short_id("pln", incident_id, attempt, digest(proposal))
    actions = []
    for index, step in enumerate(proposal.steps):
        if not find_type(step.type).plannable:
            raise RefusedError("catalogue", f"{step.type} only undoes other actions; it cannot be planned")
        target = targets.get(step.service)
        if target is None:
            raise RefusedError("catalogue", f"{step.service!r} is not part of this incident")
        actions.append(make_action(short_id("act", plan_id, index), step, target))
    return Plan(
        id=plan_id,
        incident_id=incident_id,
        attempt=attempt,
        planner=proposal.planner,
        runbook=proposal.runbook,
        summary=proposal.summary,
        actions=tuple(actions),
        evidence=proposal.cites,
    )


def refuse_repetition(plan: Plan, failed: Sequence[Action]) -> None:
    """Raise `RefusedError` (rule `repetition`) when the plan does to a target what has already failed on it."""
    done = [(action.type, action.target, action.params) for action in failed]
    for action in plan.actions:
        if (action.type, action.target, action.params) in done:
            raise RefusedError("repetition", f"{describe(action)} has failed in this run already")


def describe(action: Action) -> str:
    """A readable line, such as `rollback checkout` or `scale cart replicas=5`."""
    params = "".join(f" {name}={value}" for name, value in sorted(action.params.items()))
    return f"{action.type} {action.target.name}{params}"
