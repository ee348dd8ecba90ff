"""The scenes of the demo. Each injects a fault into the fleet, watches from outside, and says what it expected to see."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sentinel.alerts import AlertState, Resolution, WindowVerdict
from sentinel.api_types import IncidentView
from sentinel.approvals import ApprovalRequest, ApprovalStatus
from sentinel.cli.demo.cards import expect_card
from sentinel.cli.demo.expectations import Expectations
from sentinel.cli.demo.stories import Story
from sentinel.cli.demo.world import APPROVER, World
from sentinel.incidents import Incident, IncidentStatus
from sentinel.outcomes import Outcome, Result
from sentinel.plans import PolicyAnswer
from sentinel.safety import GLOBAL, BreakerState

Answer = Callable[[ApprovalRequest], str]
"""How a question is answered, by the demo itself or by the user (`--manual`); returns the actor of the decision."""

_CALM = 600.0
"""Event seconds of quiet between two scenes, so that the detectors see normal windows again."""


@dataclass
class Stage:
    """What every scene needs: the world, the list of checks, how to speak, and how approvals are answered."""

    world: World
    expectations: Expectations
    say: Callable[[str], None]
    answer: Answer
    normal_windows: int
    stories: list[Story] = field(default_factory=list)

    def inject(self, title: str, kind: str, service: str) -> Story:
        """Put a fault into the fleet and begin its story."""
        fault = self.world.fleet.inject(kind, service)
        story = Story(title, f"{kind} of {service}", float(fault["at"]), time.time())
        self.stories.append(story)
        self.say(f"{title}: {kind} injected into {service}")
        return story

    def incident_of(self, story: Story) -> Incident:
        """Wait for the incident that the fault makes."""
        found = self.world.until(
            f"an incident after {story.fault}", lambda: next(iter(self.world.incidents_since(story.fault_at)), None)
        )
        story.see(self.world.api.incident(found.id))
        self.say(f"  incident {found.id}: {found.title}")
        return found

    def question_about(self, incident: Incident, after: str = "") -> ApprovalRequest:
        """Wait for the approval request; with `after`, for another one than that."""

        def look() -> ApprovalRequest | None:
            request = self.world.pending(incident.id)
            return request if request is not None and request.id != after else None

        request = self.world.until(f"a question to a person about {incident.id}", look)
        self.say(f"  asked: {request.plan.summary} ({request.id})")
        return request

    def outcomes_of(self, story: Story, count: int, seconds: float = 90.0) -> tuple[Outcome, ...]:
        """Wait until `count` attempts have ended."""

        def look() -> tuple[Outcome, ...] | None:
            story.see(self.world.api.incident(story.incident_id))
            return story.outcomes if len(story.outcomes) >= count else None

        outcomes = self.world.until(f"{count} outcomes of {story.incident_id}", look, seconds)
        last = outcomes[count - 1]
        self.say(f"  attempt {last.attempt}: {', '.join(last.actions)} -> {last.result}: {last.reason}")
        return outcomes

    def resolved(self, story: Story) -> IncidentView:
        """Wait until the incident has resolved, then a while longer, so that the next scene starts calm."""

        def look() -> IncidentView | None:
            view = self.world.api.incident(story.incident_id)
            return view if view.incident.status is IncidentStatus.RESOLVED else None

        view = self.world.until(f"{story.incident_id} to resolve", look)
        story.see(view)
        self.calm()
        story.see(self.world.api.incident(story.incident_id))
        return story.views[-1]

    def calm(self, event_seconds: float = _CALM) -> None:
        """Let event time pass."""
        self.pass_until(self.world.now() + event_seconds)

    def hurry_until(self, event_time: float) -> None:
        """Let event time run on to `event_time` at four times the usual speed: nothing happens until then."""
        usual = float(self.world.fleet.clock()["factor"])
        self.world.fleet.set_clock(factor=4 * usual)
        self.pass_until(event_time)
        self.world.fleet.set_clock(factor=usual)

    def pass_until(self, event_time: float) -> None:
        """Let event time run on to `event_time`."""
        self.world.until(f"event time {event_time:.0f}", lambda: self.world.now() >= event_time, 300.0)


def bad_deploy(stage: Stage, scene: str, service: str, before: Story | None = None) -> Story:
    """A deploy breaks a service and its callers: one incident, asked, rolled back, verified. `before` is the first time."""
    expect = stage.expectations.expect
    story = stage.inject(scene, "bad_deploy", service)
    incident = stage.incident_of(story)
    request = stage.question_about(incident)
    early = stage.world.actions_since(story.fault_at)
    expect(scene, "nothing runs before the approval", not early, early)
    expect(scene, "policy asks a person", request.verdict.answer is PolicyAnswer.ASK, request.verdict.reasons)
    planned = [(action.type, action.target.name) for action in request.plan.actions]
    expect(scene, "the plan is a roll-back", planned == [("rollback", service)], planned)
    approver = stage.answer(request)
    outcome = stage.outcomes_of(story, 1)[0]
    view = stage.resolved(story)
    _expect_first_suspect(stage, scene, view, service)
    ran = [(action["action"], action["service"]) for action in stage.world.actions_since(story.fault_at)]
    expect(scene, "executed exactly once", ran == [("rollback", service)], ran)
    _expect_verified(stage, scene, view, outcome)
    _expect_one_incident(stage, scene, story)
    decisions = [one.decision for one in view.approvals if one.decision is not None]
    names = [decision.actor for decision in decisions]
    expect(scene, "the approver's name is on the decision", names == [approver], names)
    expect_card(stage.world, stage.expectations, scene, story.incident_id, stage.say)
    if before is not None:
        _expect_remembered(stage, scene, story, request, before)
    return story


def close_breakers(stage: Stage, scene: str, *services: str) -> None:
    """What a person does once, before anything may run by itself: every breaker begins open for automatic action."""
    before = {view.breaker.scope: view.state for view in stage.world.api.breakers()}
    opened = before == {GLOBAL: BreakerState.OPEN}
    stage.expectations.expect(scene, "every circuit breaker begins open for automatic action", opened, before)
    scopes = (GLOBAL, "type:restart", *(f"target:fleet//service/{service}" for service in services))
    for scope in scopes:
        stage.world.api.close_breaker(scope, reason="the demo lets restarts of these services run by themselves")
    stage.say(f"  {APPROVER} closes the circuit breakers {', '.join(scopes)}")
    told = {(record.actor, record.target) for record in stage.world.api.audit(action="breaker.closed").items}
    stage.expectations.expect(scene, "who closed them is in the audit", told == {(APPROVER, s) for s in scopes}, told)


def memory_leak(stage: Stage, scene: str, service: str) -> Story:
    """Memory only grows: the one action that may run by itself, because the demo's configuration says so."""
    story = stage.inject(scene, "memory_leak", service)
    stage.incident_of(story)
    outcome = stage.outcomes_of(story, 1)[0]
    view = stage.resolved(story)
    _expect_first_suspect(stage, scene, view, service)
    expect = stage.expectations.expect
    expect(scene, "no person was asked", not view.approvals, len(view.approvals))
    ran = [(action["action"], action["service"]) for action in stage.world.actions_since(story.fault_at)]
    expect(scene, "restarted exactly once, by itself", ran == [("restart", service)], ran)
    _expect_verified(stage, scene, view, outcome)
    _expect_one_incident(stage, scene, story)
    return story


def monday_surge(stage: Stage, scene: str, starts: float, ends: float) -> None:
    """The usual surge: no page, and the decision rows say why."""
    stage.say(f"{scene}: waiting for it to pass")
    stage.pass_until(ends)
    opened = [incident.title for incident in stage.world.incidents_since(starts - 60)]
    stage.expectations.expect(scene, "no incident", not opened, opened)
    rows = stage.world.until(
        "the surge's decision rows in the history",
        lambda: stage.world.api.decisions(stage="confirm", start=starts, end=ends),
    )
    matching = [row for row in rows if "seasonal baseline" in row.reason]
    clearest = max(matching, key=lambda row: float(row.details.get("value") or 0.0), default=None)
    seen = f"{clearest.service}: {clearest.reason}" if clearest else [row.reason for row in rows[:3]]
    stage.expectations.expect(scene, "candidates were held back by the seasonal baseline", bool(matching), seen)
    stage.say(f"  {len(matching)} candidates held back, for example: {seen}")


def wrong_first_fix(stage: Stage, scene: str, service: str) -> Story:
    """The first fix does not help: it is undone from its stored pre-state, and the second plan works."""
    expect = stage.expectations.expect
    replicas = stage.world.fleet.service(service)["replicas"]
    story = stage.inject(scene, "connection_leak", service)
    incident = stage.incident_of(story)
    stage.answer(stage.question_about(incident))
    first = stage.outcomes_of(story, 1)[0]
    failed = first.result in (Result.NO_EFFECT, Result.WORSE)
    expect(scene, "verification says that the first fix did not help", failed, f"{first.result}: {first.reason}")
    expect(scene, "it was undone", first.undone, first.actions)
    second = stage.outcomes_of(story, 2)[1]
    view = stage.resolved(story)
    now = stage.world.fleet.service(service)["replicas"]
    expect(scene, "the pre-state is back", now == replicas, f"{replicas} replicas before, {now} now")
    ran = [action["action"] for action in stage.world.actions_since(story.fault_at)]
    expect(scene, "scaled, undone, restarted: nothing else", ran == ["scale", "scale", "restart"], ran)
    _expect_first_suspect(stage, scene, view, service)
    _expect_verified(stage, scene, view, second)
    _expect_one_incident(stage, scene, story)
    return story


def nobody_answers(stage: Stage, scene: str, service: str) -> Story:
    """A question that expires is asked again, and nothing runs."""
    expect = stage.expectations.expect
    story = stage.inject(scene, "bad_deploy", service)
    incident = stage.incident_of(story)
    first = stage.question_about(incident)
    expired = stage.world.until(
        f"{first.id} to expire", lambda: _when(stage.world.api.approval(first.id).request, ApprovalStatus.EXPIRED)
    )
    again = stage.question_about(incident, after=first.id)
    expect(scene, "the question expired", expired.status is ApprovalStatus.EXPIRED, expired.status)
    expect(scene, "it was asked again", again.asked == first.asked + 1, again.asked)
    ran = stage.world.actions_since(story.fault_at)
    expect(scene, "nothing ran", not ran, ran)
    story.see(stage.world.api.incident(incident.id))
    return story


def _when(request: ApprovalRequest, status: ApprovalStatus) -> ApprovalRequest | None:
    return request if request.status is status else None


def _expect_first_suspect(stage: Stage, scene: str, view: IncidentView, service: str) -> None:
    suspects = [suspect.service for suspect in view.incident.suspects]
    stage.expectations.expect(scene, "the first suspect is right", suspects[:1] == [service], suspects)


def _expect_one_incident(stage: Stage, scene: str, story: Story) -> None:
    found = [incident.title for incident in stage.world.incidents_since(story.fault_at)]
    stage.expectations.expect(scene, "exactly one incident", len(found) == 1, found)


def _expect_verified(stage: Stage, scene: str, view: IncidentView, outcome: Outcome) -> None:
    """The outcome says verified, and the detectors' own messages bear it out."""
    expect = stage.expectations.expect
    expect(scene, "verified", outcome.result is Result.VERIFIED, f"{outcome.result}: {outcome.reason}")
    effective = max((entry.effective_at or 0.0 for entry in view.actions), default=0.0)
    normal: dict[str, int] = {}
    for message in view.alerts:
        judged = message.state is not AlertState.FIRING and message.window.start >= effective
        if judged and message.verdict is WindowVerdict.NORMAL:
            normal[message.alert_id] = normal.get(message.alert_id, 0) + 1
    firing = {alert.alert_id for alert in view.incident.alerts if alert.last_window_end > effective}
    proved = {alert for alert in firing if normal.get(alert, 0) >= stage.normal_windows}
    # An alert that was already recovering when the action came gives too few windows after it, and proves nothing.
    ended = {m.alert_id for m in view.alerts if m.resolution is Resolution.RECOVERED}
    short = {alert: normal.get(alert, 0) for alert in firing - proved - ended}
    told = f"{len(proved)} alerts proved it, with too few normal windows: {short or 'none'}"
    expect(scene, "by the detectors that fired", bool(proved) and not short, told)


def _expect_remembered(stage: Stage, scene: str, story: Story, request: ApprovalRequest, before: Story) -> None:
    expect = stage.expectations.expect
    incident = story.views[-1].incident
    expect(
        scene, "recognised as a recurrence", incident.recurrence_of == before.incident_id,
        f"recurrence of {incident.recurrence_of or 'nothing'}, the first was {before.incident_id}",
    )  # fmt: skip
    past = [p for p in incident.context.similar if p.incident_id == before.incident_id]
    cited = [(p.outcome, p.action) for p in past]
    good = [outcome for outcome, _ in cited] == [Result.VERIFIED.value]
    expect(scene, "cites the earlier outcome from memory", good, cited)
    same = bool(before.outcomes) and request.plan.runbook == before.outcomes[0].runbook
    expect(scene, "plans the same fix", same, request.plan.runbook)
