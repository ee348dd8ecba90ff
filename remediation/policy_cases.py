"""Unit tests of a policy: cases in YAML, each at its own time and in its own conditions, and what policy should say. Pure.

Nothing is read from a database and nothing runs: the same `decide_plan` answers that decides in the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pydantic import AwareDatetime, Field

from remediation.catalogue import Step, make_action
from remediation.limits import Deed
from remediation.policy import Conditions, decide_plan
from remediation.settings import PolicySettings, Seconds
from sentinel.catalogue import ServiceCatalogue
from sentinel.config import Section
from sentinel.plans import Action, Plan, PolicyAnswer, PolicyVerdict, Scalar, Target
from sentinel.safety import Breaker, BreakerState, KillSwitch, check_scope, scopes_of


class DeedCase(Section):
    """An action that began before the decision; rate limits count it."""

    action: str
    """Action type of the catalogue."""
    target: str
    """Name of the target."""
    ago: Seconds
    """Seconds before the case's time."""
    params: dict[str, Scalar] = {}
    """The action's parameters. Default none."""


class ConditionsCase(Section):
    """How things stand when policy decides."""

    kill_switch: str = ""
    """Why the kill switch is on. Default empty: it is off."""
    breakers: BreakerState | dict[str, BreakerState] = BreakerState.OPEN
    """One state for all breakers, or each by its scope (`global`, `type:restart`, `target:fleet//service/cart`); those
    that are not named are open, as in a new installation."""
    deeds: tuple[DeedCase, ...] = ()
    """What began before. Default nothing."""
    rejected: bool = False
    """Whether a person has rejected a plan of the same run before. Default no."""


class Case(Section):
    """One action at one time, and what policy should say."""

    name: str = Field(min_length=1)
    """What the case shows."""
    action: str
    """Action type of the catalogue."""
    target: str
    """Name of the target."""
    backend: str = "fleet"
    """Its backend. Default the simulated fleet."""
    namespace: str = ""
    """Its namespace. Default none."""
    kind: str = "service"
    """Its kind. Default `service`."""
    params: dict[str, Scalar] = {}
    """The action's parameters. Default none."""
    planner: str = "runbook"
    """Who proposed it. Default the runbooks."""
    time: AwareDatetime
    """When policy decides: with an offset, such as `2026-11-16T10:00+01:00`. No test looks at a real clock."""
    context: ConditionsCase = ConditionsCase()
    """How things stand then."""
    expect: PolicyAnswer
    """`allow`, `ask` or `deny`."""
    reasons: tuple[str, ...] | None = None
    """Patterns (`*`, `?`): each must match a reason, and each reason one of them. Default: reasons are not checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One case and what policy said; `differences` is empty when it is what was expected."""

    name: str
    verdict: PolicyVerdict
    differences: tuple[str, ...]


def try_case(case: Case, policy: PolicySettings, services: ServiceCatalogue) -> Tried:
    """Ask policy. Raises `RefusedError` for an action that the catalogue does not have, or a scope that cannot be."""
    action = _action(case.action, case.params, case.target, case)
    plan = Plan(
        id="pln-test", incident_id="inc-test", attempt=1, planner=case.planner, runbook="", summary=case.name,
        actions=(action,), evidence=(),
    )  # fmt: skip
    verdict = decide_plan(plan, policy, services, _conditions(case, action))
    return Tried(name=case.name, verdict=verdict, differences=tuple(_differences(case, verdict)))


def _action(kind: str, params: dict[str, Scalar], name: str, case: Case) -> Action:
    target = Target(backend=case.backend, kind=case.kind, name=name, namespace=case.namespace)
    return make_action("act-test", Step(type=kind, service=name, params=params, reason="a test"), target)


def _conditions(case: Case, action: Action) -> Conditions:
    now, given = case.time.timestamp(), case.context
    switch = KillSwitch(on=bool(given.kill_switch), actor="test", reason=given.kill_switch)
    states = given.breakers
    if isinstance(states, BreakerState):
        states = dict.fromkeys(scopes_of(action), states)
    return Conditions(
        now=now,
        kill_switch=switch,
        breakers={check_scope(scope): _breaker(scope, state, now) for scope, state in states.items()},
        deeds=tuple(
            Deed(at=now - deed.ago, action=_action(deed.action, deed.params, deed.target, case)) for deed in given.deeds
        ),
        rejected=given.rejected,
    )


def _breaker(scope: str, state: BreakerState, now: float) -> Breaker:
    match state:
        case BreakerState.TRIPPED:
            return Breaker(scope=scope, tripped_until=now + 900, reason="failures")
        case BreakerState.HALF_OPEN:
            return Breaker(scope=scope, tripped_until=now, reason="failures")
        case _:
            return Breaker(scope=scope, closed=state is BreakerState.CLOSED)


def _differences(case: Case, verdict: PolicyVerdict) -> list[str]:
    found = []
    if verdict.answer is not case.expect:
        found.append(f"expected {case.expect}, and policy says {verdict.answer}")
    if case.reasons is not None:
        found += [f"no reason is {pattern!r}" for pattern in case.reasons if not _any(verdict.reasons, (pattern,))]
        found += [f"not expected: {reason}" for reason in verdict.reasons if not _any((reason,), case.reasons)]
    return found


def _any(reasons: Sequence[str], patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(reason, pattern) for reason in reasons for pattern in patterns)
