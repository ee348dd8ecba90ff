"""What has become of a question: pure, asked by the worker (is there anything to do?) and by the node that waited."""

from __future__ import annotations

from enum import StrEnum

from remediation.evidence import first_suspect
from sentinel.approvals import ApprovalRequest, ApprovalStatus
from sentinel.incidents import Incident, IncidentStatus


class Answered(StrEnum):
    """How the wait ended; `not_yet` goes on waiting."""

    NOT_YET = "not_yet"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    OTHER_SUSPECT = "other_suspect"
    RECOVERED = "recovered"
    EDITED = "edited"


def look(request: ApprovalRequest, incident: Incident, suspect: str, now: float, *, edit: bool) -> Answered:
    """How things stand; what the incident says outweighs the answer, because nothing may run for a cause that is gone.

    `suspect` is the first suspect that the plan was made for; `now` is wall time; `edit` is whether there is an edit to
    see to (`EditStore.due`).
    """
    if incident.status is IncidentStatus.RESOLVED:
        return Answered.RECOVERED
    if first_suspect(incident) != suspect:
        return Answered.OTHER_SUSPECT
    if request.status is ApprovalStatus.REJECTED:
        return Answered.REJECTED
    if edit and (request.status is ApprovalStatus.SUPERSEDED or now < request.expires_at):
        return Answered.EDITED
    if request.status in (ApprovalStatus.EXPIRED, ApprovalStatus.SUPERSEDED) or now >= request.expires_at:
        return Answered.EXPIRED
    return Answered.APPROVED if request.status is ApprovalStatus.APPROVED else Answered.NOT_YET
