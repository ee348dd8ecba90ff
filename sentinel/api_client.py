"""A typed client of Sentinel's own HTTP API, for the command line and for scripts."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from sentinel.api_types import ApprovalView, BreakerView, IncidentView, ProblemDetails, SeriesValues, SeriesView
from sentinel.approvals import ApprovalDecision, ApprovalRequest, Choice
from sentinel.audit_chain import AuditRecord
from sentinel.audit_verdict import AuditVerdict
from sentinel.decisions import Decision
from sentinel.edits import ApprovalEdit
from sentinel.errors import PermanentError, TransientError
from sentinel.health import HealthReport
from sentinel.incidents import Change, Incident
from sentinel.paging import Page
from sentinel.plans import Scalar
from sentinel.safety import KillSwitch

T = TypeVar("T")
Params = Mapping[str, str | int | float | list[str] | None]


class ApiError(PermanentError):
    """The API refused. `status` is HTTP's, `rule` names what refused, `request_id` finds the call in the logs."""

    def __init__(self, status: int, rule: str, detail: str, request_id: str = "") -> None:
        super().__init__(f"the API answered {status}{f' ({rule})' if rule else ''}: {detail}")
        self.status, self.rule, self.detail, self.request_id = status, rule, detail, request_id


class ApiClient:
    """Calls one API at `url` with one key. Use as a context manager, or `close` it.

    Every method raises `TransientError` when the API does not answer or says 429 or 503, and `ApiError` for every
    other refusal. Nothing is retried here.
    """

    def __init__(self, url: str, key: str = "", *, timeout: float = 10.0) -> None:
        """Connect at the first call. `timeout` in seconds, for each of connecting, sending and reading."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.url = url.rstrip("/")
        # Loopback and cluster addresses: a proxy from the environment would never be right.
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def incidents(
        self, *, status: str = "", service: str = "", kind: str = "", severity: str = "", since: float | None = None,
        until: float | None = None, cursor: str = "", limit: int = 50,
    ) -> Page[Incident]:  # fmt: skip
        """A page of incidents, newest first."""
        wanted: Params = {
            "status": status, "service": service, "kind": kind, "severity": severity, "since": since, "until": until,
            "cursor": cursor, "limit": limit,
        }  # fmt: skip
        return self._get("/api/v1/incidents", Page[Incident], wanted)

    def incident(self, incident_id: str) -> IncidentView:
        """One incident with all that is known of it."""
        return self._get(f"/api/v1/incidents/{quote(incident_id, safe='')}", IncidentView)

    def approvals(
        self, *, status: str = "", incident_id: str = "", cursor: str = "", limit: int = 50
    ) -> Page[ApprovalRequest]:
        """A page of approval requests, newest first."""
        wanted: Params = {"status": status, "incident_id": incident_id, "cursor": cursor, "limit": limit}
        return self._get("/api/v1/approvals", Page[ApprovalRequest], wanted)

    def approval(self, request_id: str) -> ApprovalView:
        """One request with its decision."""
        return self._get(f"/api/v1/approvals/{quote(request_id, safe='')}", ApprovalView)

    def approve(self, request_id: str, *, digest: str, reason: str = "") -> ApprovalDecision:
        """Approve exactly the plan and diff that `digest` stands for."""
        return self._decide(request_id, Choice.APPROVE, digest, reason)

    def reject(self, request_id: str, *, digest: str, reason: str = "", final: bool = False) -> ApprovalDecision:
        """Reject the plan that `digest` stands for; with a reason another one is made, unless it is `final`."""
        return self._decide(request_id, Choice.REJECT, digest, reason, final=final)

    def edit(
        self, request_id: str, *, digest: str, step: int, parameter: str, value: Scalar, reason: str = ""
    ) -> ApprovalEdit:
        """Ask for another value of one parameter of step `step` (from 1); the worker answers in the edit's outcome."""
        body = {"digest": digest, "step": step, "parameter": parameter, "value": value, "reason": reason}
        answer = self._send("POST", f"/api/v1/approvals/{quote(request_id, safe='')}/edit", json=body)
        return self._read(answer, ApprovalEdit, also=202)

    def audit(
        self, *, actor: str = "", action: str = "", target: str = "", since: float | None = None,
        until: float | None = None, cursor: str = "", limit: int = 50,
    ) -> Page[AuditRecord]:  # fmt: skip
        """A page of audit records, newest first."""
        wanted: Params = {
            "actor": actor, "action": action, "target": target, "since": since, "until": until, "cursor": cursor,
            "limit": limit,
        }  # fmt: skip
        return self._get("/api/v1/audit", Page[AuditRecord], wanted)

    def verify_audit(self) -> AuditVerdict:
        """Let the server check its whole audit chain against the anchor."""
        return self._get("/api/v1/audit/verify", AuditVerdict)

    def series(self, *, service: str = "", name: str = "") -> list[SeriesView]:
        """The known series."""
        return self._get("/api/v1/series", list[SeriesView], {"service": service, "name": name})

    def series_data(self, key: str, *, start: float, end: float, step: float = 0.0) -> SeriesValues:
        """Values of one series with start <= time < end (event time); `step` > 0 averages over so many seconds."""
        return self._get("/api/v1/series/data", SeriesValues, {"key": key, "start": start, "end": end, "step": step})

    def changes(self, *, start: float, end: float, services: tuple[str, ...] = ()) -> list[Change]:
        """Changes of these services (all when empty), oldest first."""
        return self._get("/api/v1/changes", list[Change], {"start": start, "end": end, "service": list(services)})

    def decisions(
        self, *, subject: str = "", service: str = "", incident_id: str = "", stage: str = "", start: float = 0.0,
        end: float = 1e12, limit: int = 1000,
    ) -> list[Decision]:  # fmt: skip
        """Decision rows that match every given filter, oldest first."""
        wanted: Params = {
            "subject": subject, "service": service, "incident_id": incident_id, "stage": stage, "start": start,
            "end": end, "limit": limit,
        }  # fmt: skip
        return self._get("/api/v1/decisions", list[Decision], wanted)

    def health(self) -> HealthReport:
        """Every part of the process with its state; also comes back when the process is down (HTTP 503)."""
        return self._read(self._send("GET", "/health/detailed"), HealthReport, also=503)

    def kill_switch(self) -> KillSwitch:
        """How the kill switch stands."""
        return self._get("/api/v1/kill-switch", KillSwitch)

    def turn_kill_switch(self, *, on: bool, reason: str) -> KillSwitch:
        """Turn the kill switch; returns how it stands then."""
        return self._read(self._send("POST", "/api/v1/kill-switch", json={"on": on, "reason": reason}), KillSwitch)

    def breakers(self) -> list[BreakerView]:
        """Every circuit breaker that was ever moved, and the global one."""
        return self._get("/api/v1/breakers", list[BreakerView])

    def close_breaker(self, scope: str, *, reason: str) -> BreakerView:
        """Close a breaker, so that what policy lists as automatic may run by itself."""
        return self._read(
            self._send("POST", "/api/v1/breakers/close", json={"scope": scope, "reason": reason}), BreakerView
        )

    def _decide(
        self, request_id: str, choice: Choice, digest: str, reason: str, *, final: bool = False
    ) -> ApprovalDecision:
        body = {"choice": choice.value, "digest": digest, "reason": reason, "final": final}
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        answer = self._send(
            "POST", f"/api/v1/approvals/{quote(request_id, safe='')}/decision", json=body, headers=headers
        )
        return self._read(answer, ApprovalDecision)

    def _get(self, path: str, as_type: type[T], params: Params | None = None) -> T:
        given = {name: value for name, value in (params or {}).items() if value not in ("", None, [])}
        return self._read(self._send("GET", path, params=given), as_type)

    def _send(
        self, method: str, path: str, *, params: Mapping[str, object] | None = None,
        json: object = None, headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:  # fmt: skip
        try:
            return self._http.request(method, path, params=_query(params or {}), json=json, headers=dict(headers or {}))
        except httpx.TimeoutException as error:
            raise TransientError(f"the API at {self.url} did not answer in time") from error
        except httpx.TransportError as error:
            raise TransientError(
                f"the API at {self.url} cannot be reached ({error}): is `sentinel up` or `sentinel api` running?"
            ) from error

    def _read(self, answer: httpx.Response, as_type: type[T], also: int = 200) -> T:
        if answer.status_code not in (200, also) or "problem" in answer.headers.get("content-type", ""):
            raise _refusal(answer)
        try:
            return msgspec.json.decode(answer.content, type=as_type)
        except msgspec.MsgspecError as error:
            raise PermanentError(f"{answer.url} did not answer like a Sentinel of this version: {error}") from error


def _query(params: Mapping[str, object]) -> httpx.QueryParams:
    pairs = [(k, str(one)) for k, value in params.items() for one in (value if isinstance(value, list) else [value])]
    return httpx.QueryParams(tuple(pairs))


def _refusal(answer: httpx.Response) -> ApiError | TransientError:
    try:
        problem = msgspec.json.decode(answer.content, type=ProblemDetails)
    except msgspec.MsgspecError:
        problem = ProblemDetails(
            type="about:blank",
            title="",
            status=answer.status_code,
            detail=answer.text[:200],
            instance="",
            request_id="",
        )
    if answer.status_code in (429, 503):
        return TransientError(f"the API answered {answer.status_code}: {problem.detail}")
    return ApiError(answer.status_code, problem.rule, problem.detail, problem.request_id)
