"""`/api/v1/audit`: who did what, and whether the record of it is whole."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from api.parts import Approver, Cursor, Instant, Limit, State, Word
from sentinel.audit_chain import AuditRecord
from sentinel.audit_export import csv_lines, json_lines
from sentinel.audit_verdict import AuditVerdict
from sentinel.paging import Page
from sentinel.stores.sql.audit import AuditFilter

router = APIRouter(prefix="/api/v1/audit", tags=["audit"])

_NAMED_CSV = {"Content-Disposition": 'attachment; filename="audit.csv"'}
_NAMED_JSONL = {"Content-Disposition": 'attachment; filename="audit.jsonl"'}


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


class ExportForm(StrEnum):
    """What an export looks like: `jsonl` can be verified offline, `csv` is for a spreadsheet."""

    JSONL = "jsonl"
    CSV = "csv"


@router.get("/export", operation_id="export_audit", response_class=StreamingResponse)
def export_audit(
    state: State,
    _caller: Approver,
    *,
    form: Annotated[ExportForm, Query(alias="format", description="`jsonl` or `csv`.")] = ExportForm.JSONL,
    actor: Word = "",
    action: Word = "",
    target: Word = "",
    since: Instant = None,
    until: Instant = None,
) -> StreamingResponse:
    """Every record that matches, oldest first, as a file; without filters `jsonl` is the whole chain."""
    only = AuditFilter(actor=actor, action=action, target=target, since=since, until=until)
    records = state.parts.stores.audit.records(only)
    if form is ExportForm.CSV:
        return StreamingResponse(csv_lines(records), media_type="text/csv; charset=utf-8", headers=_NAMED_CSV)
    return StreamingResponse(json_lines(records), media_type="application/jsonl", headers=_NAMED_JSONL)


@router.get("/verify", operation_id="verify_audit")
def verify_audit(state: State, _caller: Approver) -> AuditVerdict:
    """Check the whole chain against the anchored heads; names the first bad record or the cut tail."""
    return state.parts.stores.audit.verify()
