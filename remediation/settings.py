"""Configuration of remediation: what may run, who is asked, how long, and when a fix counts as verified."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, JsonValue, model_validator

from remediation.aws_settings import AwsSettings
from remediation.kubernetes_settings import KubernetesSettings
from remediation.limits import DEFAULT_LIMITS, RateLimit
from remediation.planners.llm_settings import LlmSettings
from remediation.quorums import ApproverRule
from remediation.schedules import ChangeFreeze, Hours
from sentinel.config import Section
from sentinel.plans import Risk

Seconds = Annotated[float, Field(ge=0)]
"""A duration in seconds."""


class Mode(StrEnum):
    """How far Sentinel goes by itself, from looking on to acting."""

    OBSERVE = "observe"
    SUGGEST = "suggest"
    APPROVE = "approve"
    AUTO = "auto"


class AllowRule(Section):
    """One entry of the allow-list: these actions, on these targets. Patterns use `*` and `?`; all must match."""

    actions: tuple[str, ...] = Field(min_length=1)
    """Action types of the catalogue, such as `restart`. No pattern: each type is named. No default: say what may run."""
    backend: str = "fleet"
    """Executor that the target belongs to. Default the simulated fleet."""
    namespace: str = "*"
    """Pattern of the target's namespace. Default any, because the fleet has none."""
    name: str = Field(min_length=1)
    """Pattern of the target's name. No default: `*` must be meant."""


class AutomaticRule(Section):
    """Actions of one type that may run without a person, within these limits (mode `auto` only)."""

    action: str
    """Action type of the catalogue."""
    max_risk: Risk = Risk.LOW
    """Highest risk that runs by itself. Default `low`."""
    max_downtime: Seconds = 60.0
    """Longest expected downtime in seconds. Default 60: what takes longer is asked."""
    max_affected: int = Field(default=5, ge=1)
    """Most services in the blast radius, the target included. Default 5."""
    min_replicas: int = Field(default=1, ge=1)
    """Fewest live replicas of the target at which an action with downtime runs by itself; a target that shows none has
    one. Default 1: it does not matter."""
    min_tier: int = Field(default=1, ge=0, le=4)
    """Lowest tier number that is touched without a person. Default 1: services of tier 0 are always asked."""


class BreakerSettings(Section):
    """When failures trip a circuit breaker (of an action type, of a target, or of everything), and for how long."""

    failure_rate: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of failed actions above which a breaker trips. Default 0.1. An action failed when the executor refused it,
    the target did not show it, or verification found no effect or worse."""
    min_actions: int = Field(default=10, ge=1)
    """Actions in the window below which the rate says nothing. Default 10: with fewer, one failure alone is over 10 %."""
    in_a_row: int = Field(default=3, ge=1)
    """So many failures one after the other trip it too. Default 3, because a single target seldom sees ten actions."""
    window: Annotated[float, Field(gt=0)] = 86_400.0
    """Wall seconds in which results count. Default a day."""
    cool_down: Annotated[float, Field(gt=0)] = 900.0
    """Wall seconds that a tripped breaker stops everything; then one approved action at a time may try. Default 900."""


class PolicySettings(Section):
    """What may happen at all. Everything starts closed: an empty allow-list denies every action."""

    mode: Mode = Mode.SUGGEST
    """`observe` analyses, `suggest` (default) also shows the plan, `approve` asks a person before each action, `auto`
    runs what `automatic` lists and asks for the rest."""
    allow: tuple[AllowRule, ...] = ()
    """The allow-list. Default empty: nothing runs, approved or not."""
    automatic: tuple[AutomaticRule, ...] = ()
    """What mode `auto` may do without a person. Default nothing."""
    trusted_planners: tuple[str, ...] = ("runbook",)
    """Planners whose plans may run without a person. Default runbooks alone: what a language model proposes is always
    asked, because it has read text that anybody may have written."""
    limits: tuple[RateLimit, ...] = DEFAULT_LIMITS
    """How many actions may begin in a while; what is above is denied, approved or not. Default 10 a minute and 30 an hour
    over all, 6 an hour on one service, 3 an hour on one target."""
    freezes: tuple[ChangeFreeze, ...] = ()
    """Spans of time in which nothing is changed. Default none."""
    hours: tuple[Hours, ...] = ()
    """Hours in which actions run as usual. Default none: at any time."""
    breakers: BreakerSettings = BreakerSettings()
    """When failures stop all actions of a kind or on a target."""
    irreversible: bool = True
    """Whether actions that nothing can undo (a restart) may run at all. Default yes, because the allow-list names each
    type; their preview says that there is no way back."""
    dry_run: bool = False
    """Whether every executor only writes down what it would do, whatever `executor.kind` says. Default no."""
    kill_switch_file: str = ""
    """While this file exists the kill switch is on; relative to `state_dir`. Default none: the switch is in SQL alone."""
    max_affected: int = Field(default=50, ge=1)
    """Most services in the blast radius of any action; above it even an approved action is denied. Default 50."""
    approvers: tuple[ApproverRule, ...] = ()
    """How many people must approve which plans; of the rules that hold the strictest counts. Default none: one person,
    who has not edited the plan."""
    people: dict[str, tuple[str, ...]] = {}
    """Person to the actors that are that person, such as `ann: [ann, "slack:U0ANN"]`: one person counts once, through
    whatever door. Default none: every actor is a person of its own."""

    @model_validator(mode="after")
    def _one_person_each(self) -> PolicySettings:
        actors = [actor for known in self.people.values() for actor in known]
        if twice := sorted({actor for actor in actors if actors.count(actor) > 1}):
            raise ValueError(f"people: {', '.join(twice)} stands more than once; an actor is one person")
        return self


class ApprovalSettings(Section):
    """How a person is asked."""

    expires_after: Annotated[float, Field(gt=0)] = 900.0
    """Wall seconds that one question stays open. Default 900, about the time that a paged person needs to read and
    answer."""
    max_asks: int = Field(default=3, ge=1)
    """How often a question is put before the run ends as not executed. Default 3."""


class VerificationSettings(Section):
    """When a fix counts as verified. Windows are event time; only the time-out is wall time."""

    normal_windows: int = Field(default=3, ge=1)
    """`normal` windows in a row that each of the incident's own series must show after the action. Default 3."""
    settle: Seconds = 60.0
    """Event seconds after the action took effect that are not judged (restart, caches). Default 60, one window."""
    max_windows: int = Field(default=10, ge=1)
    """Windows after `settle` in which a series may become normal; after that the action had no effect. Default 10."""
    worse_factor: float = Field(default=3.0, gt=1)
    """The score must be this many times the one before the action to count as worse. Default 3: scores of a standing
    fault easily double by noise."""
    worse_windows: int = Field(default=3, ge=1)
    """So many windows in a row must be that much worse. Default 3."""
    timeout: Annotated[float, Field(gt=0)] = 3600.0
    """Wall seconds without a judgement after which the fix is not verifiable. Default an hour."""


class WorkerSettings(Section):
    """How the worker paces itself; all in wall seconds."""

    settle: Seconds = 3.0
    """Wait after an incident is first seen, so that its other alerts can join before it is analysed. Default 3."""
    poll: Annotated[float, Field(gt=0)] = 0.1
    """Longest pause between two looks at topics and decisions. Default 0.1: an approval acts within about that."""
    retry_first: Annotated[float, Field(gt=0)] = 0.5
    """Pause before a run that met a transient error goes on. Default 0.5; doubles each time."""
    retry_max: Annotated[float, Field(gt=0)] = 30.0
    """Longest such pause. Default 30."""
    lease: Annotated[float, Field(gt=0)] = 15.0
    """How long a run belongs to the worker that drives it, renewed while it does. After a crash another worker takes
    over once it has run out. Default 15, three times the deadline of an executor's call."""
    threads: int = Field(default=4, ge=1)
    """Runs that are driven at the same time. Default 4: they mostly wait for executors and the database."""


class FleetSettings(Section):
    """The simulated fleet's HTTP address."""

    url: str = "http://127.0.0.1:8090"
    """Base URL. Default where `sentinel fleet` listens."""
    deadline: Annotated[float, Field(gt=0)] = 5.0
    """Seconds for one call, connection included. Default 5."""


DRY_RUN = "dry_run"
"""The `kind` of a new installation."""

BUILT_IN = ("fleet", "aws", "kubernetes")
"""Backends whose executors come with Sentinel."""


class ExecutorSettings(Section):
    """What acts on targets. A service names its executor by `backend` in the service catalogue."""

    kind: str | tuple[str, ...] = DRY_RUN
    """What really acts: `dry_run` (default) records what would be done and changes nothing, anywhere; `fleet` acts on the
    simulated fleet; any other backend that is configured here by its name; several as a list. The others only look."""
    fleet: FleetSettings = FleetSettings()
    """Where the simulated fleet is."""
    kubernetes: KubernetesSettings = KubernetesSettings()
    """The cluster, where there is one."""
    aws: AwsSettings = AwsSettings()
    """Accounts and regions of AWS that may be reached."""
    plugins: dict[str, dict[str, JsonValue]] = {}
    """Executors of installed packages, by backend, each with its own settings. Default none: a package that is installed
    and not named here is not loaded."""

    @property
    def acting(self) -> frozenset[str]:
        """The backends that really act."""
        return frozenset({self.kind} if isinstance(self.kind, str) else self.kind) - {DRY_RUN}

    @property
    def shown(self) -> str:
        """What acts, for a person."""
        return ", ".join(sorted(self.acting)) or DRY_RUN

    @model_validator(mode="after")
    def _known(self) -> ExecutorSettings:
        if taken := sorted(self.plugins.keys() & {DRY_RUN, *BUILT_IN}):
            raise ValueError(f"plugins: {', '.join(taken)} comes with Sentinel; give yours another name")
        if unknown := sorted(self.acting - {*BUILT_IN, *self.plugins}):
            known = ", ".join((DRY_RUN, *BUILT_IN, *self.plugins))
            raise ValueError(f"kind: there is no executor {', '.join(unknown)}; there are {known}")
        if "kubernetes" in self.acting and not self.kubernetes.used:
            raise ValueError("kind: kubernetes acts on nothing; name kubernetes.namespaces or kubernetes.nodes")
        return self


class RemediationSettings(Section):
    """Everything about remediation. As shipped it proposes and does nothing."""

    runbooks: str = ""
    """Folder of runbooks (`*.yaml`), relative to the configuration file. Default empty: those that come with Sentinel."""
    max_attempts: int = Field(default=3, ge=1)
    """Plans that are tried for one incident. Default 3; the same failed action is never tried twice."""
    policy: PolicySettings = PolicySettings()
    """What may happen at all."""
    approvals: ApprovalSettings = ApprovalSettings()
    """How a person is asked."""
    verification: VerificationSettings = VerificationSettings()
    """When a fix counts as verified."""
    worker: WorkerSettings = WorkerSettings()
    """How the worker paces itself."""
    executor: ExecutorSettings = ExecutorSettings()
    """What acts on targets."""
    llm: LlmSettings = LlmSettings()
    """Language models that may propose plans before the runbooks do."""
