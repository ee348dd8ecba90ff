"""Tells what a node did, to timeline, audit, decision rows and people, from the state that the node has."""

from __future__ import annotations

from typing import Any

from remediation.journal import Entry
from remediation.notifiers.protocol import Notice
from remediation.parts import Parts
from remediation.state import RunState, about
from sentinel.approvals import ApprovalRequest
from sentinel.incidents import Incident


class Narrator:
    """The nodes' voice."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def tell(
        self,
        state: RunState,
        kind: str,
        text: str,
        *,
        key: str = "",
        digest: str = "",
        event_at: float | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        """A row on the timeline and in the audit, once for each kind and key of an attempt."""
        entry = Entry(kind=kind, text=text, key=key, digest=digest, event_at=event_at, details=details or {})
        self._parts.journal.tell(about(state), entry)

    def answer(self, state: RunState, kind: str, text: str, request: ApprovalRequest) -> None:
        """A row about what became of a question."""
        self.tell(state, kind, text, key=request.id, digest=request.digest, details={"request_id": request.id})

    def decide(
        self, state: RunState, incident: Incident, subject: str, verdict: str, reason: str, *, stage: str
    ) -> None:
        """A decision row for the topic, at the event time of the incident's revision."""
        self._parts.journal.decide(about(state), stage, subject, verdict, reason, incident.updated_at)

    def notify(
        self,
        state: RunState,
        kind: str,
        text: str,
        request: ApprovalRequest | None = None,
        *,
        result: str = "",
        final: bool = True,
    ) -> None:
        """Tell people."""
        notice = Notice(
            incident_id=state["incident_id"],
            kind=kind,
            text=text,
            trace_id=state["trace_id"],
            request=request,
            key=request.id if request else f"{state['run_id']}:{state['attempt']}",
            result=result,
            final=final,
        )
        self._parts.notifier.notify(notice)
