"""Policy: may this action run, must a person be asked, or never? Pure, and every rule that spoke is in the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from remediation.breakers import asked_by, stopped_by
from remediation.catalogue import CATALOGUE, check_backend, check_params, find_type
from remediation.limits import Deed, exceeded
from remediation.quorums import quorum_of
from remediation.schedules import Instead, untimely
from remediation.settings import AllowRule, AutomaticRule, Mode, PolicySettings
from sentinel.canonical import digest
from sentinel.catalogue import ServiceCatalogue
from sentinel.errors import RefusedError
from sentinel.plans import Action, Plan, PolicyAnswer, PolicyVerdict, Preview
from sentinel.safety import Breaker, KillSwitch

_STRICTNESS = {PolicyAnswer.ALLOW: 0, PolicyAnswer.ASK: 1, PolicyAnswer.DENY: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How things stand at `now` (wall seconds): read anew for each decision.

    `breakers` by scope; one that is missing is open. `deeds` are the actions that began lately, those of the attempt
    that asks left out. `attempt` names that one: it may be a probe. `rejected`: a person has rejected a plan of
    this run. `uncounted`: why the limits that several Sentinels share cannot be read; empty when they can.
    """

    now: float
    kill_switch: KillSwitch
    breakers: Mapping[str, Breaker]
    deeds: Sequence[Deed] = ()
    attempt: str = ""
    rejected: bool = False
    uncounted: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyContext:
    """What policy knows beside the action, from configuration, topology and the live state, never from a planner.

    `affected`: services that may notice the action, the target included; empty when the target is unknown.
    `earlier`: the actions of the same plan that come before it. `tier`: the target's tier, 0 earns the money; None when the target is unknown.
    `replicas`: the target's live ones; None where it shows none.
    """

    settings: PolicySettings
    affected: frozenset[str]
    tier: int | None
    conditions: Conditions
    earlier: tuple[Action, ...] = ()
    replicas: int | None = None


def context_of(
    action: Action,
    settings: PolicySettings,
    services: ServiceCatalogue,
    conditions: Conditions,
    earlier: tuple[Action, ...] = (),
    replicas: int | None = None,
) -> PolicyContext:
    """The context of one action; the blast radius comes from the call graph."""
    entry = services.services.get(action.target.serves)
    return PolicyContext(
        settings=settings,
        affected=blast_radius(action, services),
        tier=entry.tier if entry else None,
        conditions=conditions,
        earlier=earlier,
        replicas=replicas,
    )


def live_replicas(preview: Preview) -> int | None:
    """How many replicas the target has now, where its state says so."""
    found = preview.before.get("replicas")
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def blast_radius(action: Action, services: ServiceCatalogue) -> frozenset[str]:
    """The services that may notice: the target and, when it is down meanwhile, all that call it, directly or not."""
    if action.target.serves not in services.services:
        return frozenset()
    if action.expected_downtime <= 0:
        return frozenset({action.target.serves})
    return services.upstream_of({action.target.serves})


def policy_version(settings: PolicySettings) -> str:
    """12 hexadecimal digits that change with the policy's settings and with the action catalogue."""
    return digest({"settings": settings.hash, "catalogue": CATALOGUE})[:12]


def allowed(action: Action, rules: Sequence[AllowRule]) -> bool:
    """Whether the allow-list has the action on its target."""
    target = action.target
    return any(
        action.type in rule.actions
        and target.backend == rule.backend
        and fnmatchcase(target.namespace, rule.namespace)
        and fnmatchcase(target.name, rule.name)
        for rule in rules
    )


def decide(action: Action, context: PolicyContext) -> PolicyVerdict:
    """`deny` when any rule denies, else `ask` when any rule asks, else `allow`; with the reasons of all that spoke."""
    denied = _denials(action, context)
    version = policy_version(context.settings)
    if denied:
        return PolicyVerdict(answer=PolicyAnswer.DENY, reasons=tuple(denied), policy_version=version)
    asked, allows = _questions(action, context)
    answer = PolicyAnswer.ASK if asked else PolicyAnswer.ALLOW
    return PolicyVerdict(answer=answer, reasons=tuple(asked or allows), policy_version=version)


def decide_plan(
    plan: Plan,
    settings: PolicySettings,
    services: ServiceCatalogue,
    conditions: Conditions,
    previews: Sequence[Preview] = (),
) -> PolicyVerdict:
    """Policy's verdict on a whole plan, from settings, topology, conditions and live states as they are now.

    Without a preview of an action the number of its target's replicas is unknown.
    """
    replicas = {preview.action_id: live_replicas(preview) for preview in previews}
    verdicts = [
        decide(
            action, context_of(action, settings, services, conditions, plan.actions[:index], replicas.get(action.id))
        )
        for index, action in enumerate(plan.actions)
    ]
    version = policy_version(settings)
    if plan.actions and plan.planner not in settings.trusted_planners:
        reason = f"planner: what {plan.planner} proposes is always asked"
        verdicts.append(PolicyVerdict(answer=PolicyAnswer.ASK, reasons=(reason,), policy_version=version))
    if conditions.uncounted:
        reason = f"rate limit: the shared counts cannot be read, so a person is asked ({conditions.uncounted})"
        verdicts.append(PolicyVerdict(answer=PolicyAnswer.ASK, reasons=(reason,), policy_version=version))
    if conditions.rejected:
        reason = "rejection: a person has rejected a plan of this run, so every further one is asked"
        verdicts.append(PolicyVerdict(answer=PolicyAnswer.ASK, reasons=(reason,), policy_version=version))
    verdict = strictest(verdicts, version)
    approvers = quorum_of(plan, settings.approvers, settings.people, services).approvers
    if verdict.answer is not PolicyAnswer.ASK or approvers == 1:
        return verdict
    return replace(verdict, reasons=(*verdict.reasons, f"approvers: {approvers} different people must approve"))


def strictest(verdicts: Sequence[PolicyVerdict], version: str) -> PolicyVerdict:
    """The verdict of a whole plan: the strictest answer of its actions, with every reason once. No action: `deny`."""
    if not verdicts:
        return PolicyVerdict(answer=PolicyAnswer.DENY, reasons=("plan: it has no action",), policy_version=version)
    answer = max((verdict.answer for verdict in verdicts), key=_STRICTNESS.__getitem__)
    reasons = tuple(dict.fromkeys(reason for verdict in verdicts for reason in verdict.reasons))
    return PolicyVerdict(answer=answer, reasons=reasons, policy_version=version)


def _denials(action: Action, context: PolicyContext) -> list[str]:
    settings, target = context.settings, action.target
    reasons = []
    if context.conditions.kill_switch.on:
        reasons.append(f"kill switch: {context.conditions.kill_switch.text}")
    if settings.mode in (Mode.OBSERVE, Mode.SUGGEST):
        reasons.append(f"mode: {settings.mode} runs nothing")
    if not allowed(action, settings.allow):
        reasons.append(f"allow-list: it has no entry for {action.type} on {target.key}")
    if problem := _misfit(action):
        reasons.append(f"catalogue: {problem}")
    if not (action.reversible or settings.irreversible):
        reasons.append(f"irreversible: {action.type} cannot be undone, and such actions are switched off")
    if context.tier is None:
        reasons.append(f"topology: {target.serves} is not in the service catalogue, its blast radius is unknown")
    if len(context.affected) > settings.max_affected:
        reasons.append(f"blast radius: {len(context.affected)} services, more than {settings.max_affected}")
    conditions = context.conditions
    reasons += exceeded(action, context.earlier, conditions.deeds, settings.limits, conditions.now)
    reasons += untimely(action, settings.freezes, settings.hours, conditions.now)[Instead.DENY]
    return reasons + stopped_by(action, conditions.breakers, conditions.now, conditions.attempt)


def _misfit(action: Action) -> str:
    """Why the action does not say what the catalogue says, or an empty string."""
    try:
        entry = find_type(action.type)
        check_backend(entry, action.target)
        check_params(entry, action.params)
    except RefusedError as error:
        return error.reason
    stated = (action.risk, action.expected_downtime, action.reversible)
    if stated != (entry.risk, entry.expected_downtime, entry.reversible):
        return f"risk, downtime or reversibility of {action.type} are not the catalogue's"
    return ""


def _questions(action: Action, context: PolicyContext) -> tuple[list[str], list[str]]:
    """Reasons to ask, and reasons to run without asking; exactly one of the lists holds something."""
    settings = context.settings
    if settings.mode is not Mode.AUTO:
        return [f"mode: {settings.mode} asks before every action"], []
    rules = [rule for rule in settings.automatic if rule.action == action.type]
    if not rules:
        return [f"automatic: {action.type} is not listed"], []
    now = context.conditions.now
    stops = asked_by(action, context.conditions.breakers, now)
    stops += untimely(action, settings.freezes, settings.hours, now)[Instead.ASK]
    problems: list[str] = []
    for rule in rules:
        over = _over_limits(action, context, rule)
        if not over and stops:
            return stops, []
        if not over:
            reach = f"{len(context.affected)} services"
            return [], [
                f"automatic: {action.type} is listed; {action.risk} risk, {action.expected_downtime:g} s, {reach}"
            ]
        problems.extend(over)
    return problems + stops, []


def _over_limits(action: Action, context: PolicyContext, rule: AutomaticRule) -> list[str]:
    problems = []
    if action.risk.rank > rule.max_risk.rank:
        problems.append(f"risk: {action.risk} is above {rule.max_risk}")
    if action.expected_downtime > rule.max_downtime:
        problems.append(f"downtime: {action.expected_downtime:g} s is above {rule.max_downtime:g} s")
    if len(context.affected) > rule.max_affected:
        problems.append(f"blast radius: {len(context.affected)} services is above {rule.max_affected}")
    if action.expected_downtime > 0 and (context.replicas or 1) < rule.min_replicas:
        problems.append(f"replicas: {context.replicas or 'unknown'} live, and {rule.min_replicas} are wanted")
    if context.tier is None or context.tier < rule.min_tier:
        problems.append(f"tier: {context.tier} needs a person; from tier {rule.min_tier} on it runs by itself")
    return problems
