"""The nodes of the graph: each reads the plain state, calls one part, and says where to go.

A node may run again from its top after a crash or a wake-up, so everything that it does is idempotent, and nothing is
done before an `interrupt`.
"""

from __future__ import annotations

from dataclasses import replace

from langgraph.types import interrupt

from remediation import evidence, rollback
from remediation.evidence import Analysis, FailedAttempt
from remediation.execution import Executed, execute, lines
from remediation.learning import learn_outcome
from remediation.live import read_conditions
from remediation.narration import Narrator
from remediation.orders import Stop
from remediation.parts import Parts
from remediation.postconditions import unmet
from remediation.questions import Questions
from remediation.recording import failed_attempt, make_outcome
from remediation.rehearsal import rehearse
from remediation.settings import Mode
from remediation.sharing import away
from remediation.state import RunState, about, new_attempt, not_executed, order_of, plan_of, read, watched
from remediation.steps import Analysing, Deciding, Planning
from remediation.trail import Trail
from remediation.watching import escalation, verifying
from remediation.worsening import baseline_of
from sentinel.canonical import plain
from sentinel.errors import PermanentError
from sentinel.incidents import Incident, IncidentStatus
from sentinel.metrics import OUTCOMES_RECORDED
from sentinel.outcomes import Outcome, Result
from sentinel.plans import PolicyAnswer
from sentinel.runs import RunStatus

DECISION = "decision"
"""What a run parked in `wait` waits for."""

WINDOWS = "windows"
"""What a run parked in `verify` waits for."""

TARGET = "target"
"""What a run parked in `execute` waits for."""

MAX_DRIFTS = 5
"""Times that the target may change under one attempt before the run gives up."""


class Nodes:
    """One method per node, over the parts of one worker."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._story = Narrator(parts)
        self._trail = Trail(parts)
        self._questions = Questions(parts, self._story, self._trail)

    def analyse(self, state: RunState) -> RunState:
        """Gather the evidence: the incident's newest revision, live targets, and how cited incidents ended."""
        parts, incident = self._parts, self._incident(state)
        parts.stores.runs.update(state["run_id"], now=parts.now(), status=RunStatus.RUNNING, attempt=state["attempt"])
        if incident.status is IncidentStatus.RESOLVED:
            return not_executed("the incident recovered by itself")
        targets = evidence.candidate_targets(incident, parts.services)
        states = {}
        for name, target in targets.items():
            try:
                states[name] = parts.executor(target).observe(target).fields
            except PermanentError as error:
                self._story.tell(state, "unobserved", f"{name} cannot be looked at: {error}", key=name)
        analysis = self._trail.run(state, Analysing(incident=incident, states=states, past=tuple(self._past(incident))))
        claims = "; ".join(claim.text for claim in analysis.claims) or "nothing is claimed"
        text = f"{len(analysis.items)} facts: {claims}"
        self._story.tell(state, "analysed", text, key=f"{incident.revision}:{state['question']}")
        return {"go": "plan", "service": analysis.suspect, "analysis": plain(analysis)}

    def plan(self, state: RunState) -> RunState:
        """Let the planner propose; catalogue and evidence decide whether the proposal is a plan."""
        analysis = read(state["analysis"], Analysis)
        failed = read(state["failed"], list[FailedAttempt])
        proposal = self._parts.planner.plan(analysis, failed)
        planning = Planning(
            analysis=analysis,
            failed=tuple(failed),
            proposal=proposal,
            incident_id=state["incident_id"],
            attempt=state["attempt"],
        )
        planned = self._trail.run(state, planning)
        plan = planned.plan
        if plan is None:
            return not_executed(planned.refusal)
        text = f"{', '.join(lines(plan.actions))}: {plan.summary}"
        cited = {"evidence": list(plan.evidence), "runbook": plan.runbook}
        self._story.tell(state, "planned", text, key=f"{plan.id}:{state['question']}", details=cited)
        self._story.decide(state, analysis.incident, plan.id, plan.runbook or plan.planner, text, stage="plan")
        return {"go": "policy", "plan": plain(plan), "asked": 0, "requesters": []}

    def policy(self, state: RunState) -> RunState:
        """Dry-run every action and what would undo it on the live target, and ask policy about each."""
        parts, plan, settings = self._parts, plan_of(state), self._parts.settings.policy
        try:
            previews = tuple(rehearse(parts, action) for action in plan.actions)
        except PermanentError as error:
            return not_executed(f"the dry run was refused: {error}", again=True)
        conditions = replace(read_conditions(parts, about(state), plan), uncounted=away(parts))
        decided = self._trail.run(state, Deciding(plan=plan, previews=previews, conditions=conditions))
        verdict, digest = decided.verdict, decided.digest
        text = f"{verdict.answer}: {'; '.join(verdict.reasons)}"
        said = {"answer": verdict.answer.value, "reasons": list(verdict.reasons), "version": verdict.policy_version}
        details = {**said, "actions": list(lines(plan.actions))}
        self._story.tell(state, "policy", text, key=f"{digest}:{state['question']}", digest=digest, details=details)
        self._story.decide(state, self._incident(state), digest, verdict.answer, text, stage="policy")
        kept: RunState = {"previews": plain(previews), "verdict": plain(verdict), "digest": digest, "request_id": ""}
        if verdict.answer is PolicyAnswer.DENY:
            if settings.mode is Mode.SUGGEST:
                self._story.notify(state, "suggested", f"suggested: {', '.join(lines(plan.actions))}: {plan.summary}")
            return {**kept, **not_executed(f"policy denies: {'; '.join(verdict.reasons)}")}
        if verdict.answer is PolicyAnswer.ASK:
            return {**kept, "go": "ask"}
        return {**kept, "go": "execute", "baseline": plain(baseline_of(self._incident(state)))}

    def ask(self, state: RunState) -> RunState:
        """Put the question where people find it. The same question after a crash is the same request."""
        return self._questions.ask(state, self._incident(state))

    def wait(self, state: RunState) -> RunState:
        """Park until the worker sees a reason to look, then look for itself: what woke it proves nothing."""
        interrupt({"waiting_for": DECISION, "request_id": state["request_id"]})
        return self._questions.look(state, self._incident(state))

    def execute(self, state: RunState) -> RunState:
        """Act, through every check and the ledger."""
        run = self._parts.stores.runs.update(state["run_id"], now=self._parts.now(), status=RunStatus.RUNNING)
        done = execute(self._parts, order_of(state, run.epoch))
        if done.stop is Stop.BUSY:
            return self._queue(state, done.reason)
        ran: RunState = {"keys": list(done.keys), "effective_at": done.effective_at}
        if done.stop is None:
            return {**ran, "go": "verify", "watch_since": self._parts.now()}
        key = f"{state['question']}:{state['digest']}"
        self._story.tell(state, "stopped", f"{done.stop}: {done.reason}", key=key)
        if not done.keys:
            return self._stopped(state, done, done.stop)
        if done.stop is Stop.WORSENED:
            return {
                **ran,
                **self._worse(state, f"{done.reason} after {len(done.keys)} of {len(state['previews'])} actions"),
            }
        result = Result.NOT_VERIFIABLE if done.stop is Stop.UNCONFIRMED else Result.NOT_EXECUTED
        reason = f"{done.stop} after {len(done.keys)} of {len(state['previews'])} actions: {done.reason}"
        return {**ran, "go": "undo", "result": result.value, "reason": reason, "again": False}

    def verify(self, state: RunState) -> RunState:
        """Park until the windows are in; the judgement is made from the projection alone."""
        parts = self._parts
        parts.stores.runs.update(state["run_id"], now=parts.now(), status=RunStatus.VERIFYING)
        if reason := escalation(parts, watched(state)):
            return self._worse(state, reason)
        judgement = self._trail.run(state, verifying(parts, watched(state)))
        if judgement.result is None:
            interrupt({"waiting_for": WINDOWS})
            return {"go": "verify"}
        result, reason = judgement.result, judgement.reason
        if result is Result.VERIFIED and (problem := self._unmet(state)):
            result, reason = Result.NOT_VERIFIABLE, f"{reason}; but {problem}"
        self._story.tell(state, result.value, reason, event_at=judgement.until, details=dict(judgement.windows))
        self._story.decide(state, self._incident(state), plan_of(state).id, result.value, reason, stage="verify")
        again = result in (Result.NO_EFFECT, Result.WORSE)
        return {"go": "undo" if again else "record", "result": result.value, "reason": reason, "again": again}

    def undo(self, state: RunState) -> RunState:
        """Put the pre-states back, last action first."""
        run = self._parts.stores.runs.update(state["run_id"], now=self._parts.now())
        undone = rollback.undo(self._parts, about(state), tuple(state["keys"]), run.epoch)
        text = "; ".join(undone.lines)
        self._story.tell(state, "undo_failed" if undone.failed else "undo", text)
        kept: RunState = {"go": "record", "undone": undone.complete, "undo_lines": list(undone.lines)}
        if not undone.failed:
            return kept
        self._story.notify(state, "escalated", f"the undo failed: {text}")
        return {**kept, "again": False}

    def record(self, state: RunState) -> RunState:
        """Write the attempt's outcome, and go round again where another plan may help."""
        parts = self._parts
        again = state["again"] and state["attempt"] < parts.settings.max_attempts
        outcome = make_outcome(state, self._incident(state), parts.now())
        text = f"{outcome.result}: {outcome.reason}"
        learn_outcome(parts, about(state), state["keys"], outcome.result)
        with parts.stores.database.write():
            parts.stores.outcomes.record(outcome)
            parts.stores.targets.release(state["run_id"])
            if not again:
                parts.stores.runs.update(state["run_id"], now=parts.now(), status=RunStatus.FINISHED)
            details = {
                "result": outcome.result.value,
                "undone": outcome.undone,
                "again": again,
                "decision_hash": self._trail.decision_hash(state["run_id"]),
            }
            self._story.tell(state, "recorded", text, details=details)
        OUTCOMES_RECORDED.labels(outcome.result.value).inc()
        said = f"{outcome.title}: {text}"
        self._story.notify(state, "recorded", said, result=outcome.result.value, final=not again)
        if not again:
            return {"go": "end"}
        failed = [*state["failed"], plain(failed_attempt(state, outcome))]
        return {**new_attempt(), "go": "analyse", "attempt": state["attempt"] + 1, "failed": failed}

    def _unmet(self, state: RunState) -> str:
        """Why the targets are not as the actions left them, or an empty string."""
        try:
            return unmet(self._parts, state["keys"])
        except PermanentError as error:
            return f"the target cannot be looked at: {error}"

    def _worse(self, state: RunState, why: str) -> RunState:
        """The incident got worse while it was acted on: undo, page, and leave the rest to people."""
        reason = f"it got worse while it was acted on: {why}"
        self._story.tell(state, "escalated", reason, key=state["digest"], digest=state["digest"])
        self._story.notify(state, "escalated", reason)
        return {"go": "undo", "result": Result.WORSE.value, "reason": reason, "again": False}

    def _queue(self, state: RunState, why: str) -> RunState:
        """Park until the run that acts on the target has recorded its attempt; then every check is made anew."""
        with self._parts.stores.database.write():
            self._parts.stores.runs.update(state["run_id"], now=self._parts.now(), status=RunStatus.WAITING)
            self._story.tell(state, "queued", why, key=state["digest"], digest=state["digest"])
        interrupt({"waiting_for": TARGET})
        return {"go": "execute"}

    def _stopped(self, state: RunState, done: Executed, stop: Stop) -> RunState:
        """Nothing ran: where to go from here."""
        self._parts.stores.targets.release(state["run_id"])
        match stop:
            case Stop.DRIFT if state["drifts"] < MAX_DRIFTS:
                self._questions.take_back(state, done.reason)
                return {"go": "policy", "asked": 0, "drifts": state["drifts"] + 1}
            case Stop.EXPIRED if not state["request_id"]:
                return {"go": "policy"}
            case Stop.EXPIRED:
                return self._questions.ask_again(state, "it was approved, and ran out before it could begin")
            case Stop.RECOVERED:
                self._questions.take_back(state, done.reason)
                return {"go": "analyse"}
            case _:
                return not_executed(f"{stop}: {done.reason}", again=stop is Stop.FAILED)

    def _incident(self, state: RunState) -> Incident:
        incident = self._parts.stores.incidents.get(state["incident_id"])
        if incident is None:
            raise PermanentError(f"there is no incident {state['incident_id']!r} in the view")
        return incident

    def _past(self, incident: Incident) -> list[Outcome]:
        """Outcomes of the incidents that this one cites, the one that it repeats first."""
        cited = dict.fromkeys((incident.recurrence_of, *(past.incident_id for past in incident.context.similar)))
        return [outcome for one in cited if one for outcome in self._parts.stores.outcomes.find(one)]
