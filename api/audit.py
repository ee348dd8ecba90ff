"""`/api/v1/audit`: who did what, and whether the record of it is whole."""

from __future__ import annotations

from fastapi import APIRouter

from api.parts import Approver, Cursor, Instant, Limit, State, Word
from sentinel.audit_chain import AuditRecord
from sentinel.audit_verdict import AuditVerdict
from sentinel.paging import Page
from sentinel.stores.sql.audit import AuditFilter

router = APIRouter(prefix="/api/v1/audit", tags=["audit"])


@router.get("", operation_id="list_audit")
def list_audit(
    state: State,
    _caller: Approver,
    *,
    actor: Word = "",
    action: Word = "",
    target: Word = "",
    since: Instant = None,
    until: Instant = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Page[AuditRecord]:
    """Audit records, newest first; `since` and `until` bound wall time. For approvers and admins."""
    only = AuditFilter(actor=actor, action=action, target=target, since=since, until=until)
    return state.parts.stores.audit.find(only, cursor=cursor, limit=limit)


@router.get("/verify", operation_id="verify_audit")
def verify_audit(state: State, _caller: Approver) -> AuditVerdict:
    """Check the whole chain against the anchored heads; names the first bad record or the cut tail."""
    return state.parts.stores.audit.verify()
