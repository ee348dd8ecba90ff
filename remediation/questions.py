"""Questions to people: put, looked after, taken back and put again. What the nodes `ask` and `wait` do."""

from __future__ import annotations

from typing import assert_never

from remediation.asking import make_request, stored_request
from remediation.editing import edited, rehearse, said
from remediation.evidence import FailedAttempt
from remediation.narration import Narrator
from remediation.parts import Parts
from remediation.state import RunState, about, not_executed, plan_of, read
from remediation.steps import Hearing
from remediation.trail import Trail
from remediation.waiting import Answered
from remediation.worsening import baseline_of
from sentinel.approvals import ApprovalDecision, ApprovalRequest
from sentinel.canonical import plain
from sentinel.edits import ApprovalEdit, EditOutcome
from sentinel.errors import PermanentError
from sentinel.incidents import Incident
from sentinel.runs import RunStatus


class Questions:
    """The questions of one worker's runs."""

    def __init__(self, parts: Parts, story: Narrator, trail: Trail) -> None:
        self._parts = parts
        self._story = story
        self._trail = trail

    def ask(self, state: RunState, incident: Incident) -> RunState:
        """Put the next question. The same one after a crash is the same request."""
        parts = self._parts
        question, asked = state["question"] + 1, state["asked"] + 1
        request = make_request(parts, state, incident, question, asked)
        text = f"{request.plan.summary} [{'; '.join(preview.text for preview in request.previews)}]"
        with parts.stores.database.write():
            request = parts.stores.approvals.create(request)
            parts.stores.runs.update(state["run_id"], now=parts.now(), status=RunStatus.WAITING)
            details = {"request_id": request.id, "asked": asked, "expires_at": request.expires_at}
            if request.replaces:
                details |= {"replaces": request.replaces, "difference": list(request.difference)}
            self._story.tell(state, "asked", text, key=request.id, digest=request.digest, details=details)
        self._story.notify(state, "asked", text, request)
        return {"go": "wait", "question": question, "asked": asked, "request_id": request.id}

    def look(self, state: RunState, incident: Incident) -> RunState:
        """What has become of the question, and where that leads."""
        request = stored_request(self._parts, state["request_id"])
        edit = self._parts.stores.edits.due(request)
        hearing = Hearing(
            request=request, incident=incident, suspect=state["service"], now=self._parts.now(), edit=edit is not None
        )
        match self._trail.run(state, hearing):
            case Answered.NOT_YET:
                return {"go": "wait"}
            case Answered.APPROVED:
                self._tell(state, "approved", f"approved by {self._voters(request)}", request)
                return {"go": "execute", "baseline": plain(baseline_of(incident))}
            case Answered.REJECTED:
                return self._rejected(state, request)
            case Answered.EXPIRED:
                self._parts.stores.approvals.expire(self._parts.now())
                return self.ask_again(state, "it ran out without an answer in time")
            case Answered.OTHER_SUSPECT:
                self.take_back(state, "another service is suspected first now")
                return {"go": "analyse"}
            case Answered.EDITED:
                return self._edited(state, request, edit) if edit else {"go": "wait"}
            case Answered.RECOVERED:
                self.take_back(state, "the incident recovered by itself")
                return not_executed("the incident recovered by itself")
            case never:
                assert_never(never)

    def ask_again(self, state: RunState, why: str) -> RunState:
        """The question ran out: put it anew, so many times."""
        request = stored_request(self._parts, state["request_id"])
        self._story.answer(state, "expired", f"question {request.asked}: {why}", request)
        if state["asked"] < self._parts.settings.approvals.max_asks:
            return {"go": "policy"}
        text = f"no answer in time to {state['asked']} questions"
        self._tell(state, "unanswered", text, request)
        return not_executed(text)

    def take_back(self, state: RunState, why: str) -> None:
        """Close the question, where there is one, because it is not the right one any more."""
        if not state["request_id"]:
            return
        request = stored_request(self._parts, state["request_id"])
        self._parts.stores.approvals.supersede(request.id, now=self._parts.now())
        self._story.answer(state, "superseded", why, request)

    def _rejected(self, state: RunState, request: ApprovalRequest) -> RunState:
        """A rejection ends the run, unless it says why: then another plan may be what is wanted."""
        decision = self._parts.stores.approvals.decision(request.id)
        text = f"rejected by {_voter(decision)}" if decision else "rejected"
        objection = decision.objection if decision else ""
        self._tell(state, "refused", text, request)
        return {**not_executed(text, again=bool(objection)), "objection": objection}

    def _edited(self, state: RunState, request: ApprovalRequest, edit: ApprovalEdit) -> RunState:
        """Try the edit. When it fits, the edited plan is asked with a digest of its own; else the question stays open.

        The answer to the edit and the end of the question are one transaction: a crash after it comes here again with
        the applied edit, which then only has to be put into the plan.
        """
        stores, plan = self._parts.stores, plan_of(state)
        text = said(edit, plan)
        try:
            new = edited(plan, edit)
            if edit.outcome is EditOutcome.WAITING:
                rehearse(self._parts, about(state), new, read(state["failed"], list[FailedAttempt]))
        except PermanentError as error:
            return self._edit_refused(state, edit, f"{text}: {error}")
        with stores.database.write():
            if edit.outcome is EditOutcome.WAITING:
                if not stores.approvals.supersede(request.id, now=self._parts.now()):
                    return {"go": "wait"}
                stores.edits.answer(edit, EditOutcome.APPLIED, "", now=self._parts.now())
            self._story.answer(state, "superseded", text, request)
        requesters = [*state.get("requesters", []), edit.actor]
        return {"go": "policy", "plan": plain(new), "asked": 0, "requesters": requesters}

    def _edit_refused(self, state: RunState, edit: ApprovalEdit, text: str) -> RunState:
        with self._parts.stores.database.write():
            self._parts.stores.edits.answer(edit, EditOutcome.REFUSED, text, now=self._parts.now())
            self._story.tell(state, "edit_refused", text, key=edit.id, details={"edit_id": edit.id})
        return {"go": "wait"}

    def _tell(self, state: RunState, kind: str, text: str, request: ApprovalRequest) -> None:
        """To the record, and to people."""
        self._story.answer(state, kind, text, request)
        self._story.notify(state, kind, text, request)

    def _voters(self, request: ApprovalRequest) -> str:
        return ", ".join(_voter(vote) for vote in self._parts.stores.approvals.votes(request.id))


def _voter(vote: ApprovalDecision) -> str:
    return f"{vote.actor}: {vote.reason}".rstrip(": ")
