"""What remediation intends to do: plans made of actions from the catalogue, and what each would change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sentinel.canonical import digest

Scalar = str | int | float | bool
"""A parameter or a field of a state: what JSON can hold without nesting."""


class Risk(StrEnum):
    """How much an action can hurt; set by the action catalogue, never by a planner."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """0 for `low` to 2 for `high`."""
        return list(Risk).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What an action acts on: `backend` chooses the executor (`fleet`), `name` is the service or object.

    `service` is the service of the catalogue that the object belongs to, empty where `name` says it already.
    """

    backend: str
    kind: str
    name: str
    namespace: str = ""
    service: str = ""

    @property
    def key(self) -> str:
        """`backend/namespace/kind/name`: unique, used by allow-lists, ledger and audit."""
        return f"{self.backend}/{self.namespace}/{self.kind}/{self.name}"

    @property
    def serves(self) -> str:
        """The service that notices when something happens to the target."""
        return self.service or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One step of a plan. `type` names an entry of the action catalogue; `expected_downtime` is in seconds."""

    id: str
    type: str
    target: Target
    params: dict[str, Scalar]
    risk: Risk
    expected_downtime: float
    reversible: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a planner proposes for one attempt at an incident; `evidence` holds the ids it rests on."""

    id: str
    incident_id: str
    attempt: int
    planner: str
    runbook: str
    summary: str
    actions: tuple[Action, ...]
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What one action would change now, from the executor's dry run against the live target.

    `before` and `after` are plain states; `resource_version` is the version the action will insist on.
    """

    action_id: str
    resource_version: str
    before: dict[str, Scalar]
    after: dict[str, Scalar]
    text: str


class PolicyAnswer(StrEnum):
    """What policy says of an action or a plan; the strictest answer of its actions is the plan's."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVerdict:
    """Policy's answer with every rule that spoke, as `rule: reason` lines."""

    answer: PolicyAnswer
    reasons: tuple[str, ...]
    policy_version: str


def approval_digest(plan: Plan, previews: tuple[Preview, ...], policy_version: str) -> str:
    """The digest that a person signs: the plan, its live diff with resource versions, and the policy version.

    The expiry is not part of it: asking the same question again keeps the digest.
    """
    return digest({"plan": plan, "previews": previews, "policy_version": policy_version})
