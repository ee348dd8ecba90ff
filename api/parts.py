"""What the API works on, chosen by whoever starts it, and how a handler gets at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.failures import FailureBudget
from api.keys import Caller, KeyRing
from api.logins import LoginBook
from api.problems import ProblemError
from api.settings import ApiSettings
from sentinel import metrics
from sentinel.approvals import Role
from sentinel.audit_late import check_late
from sentinel.audit_settings import AuditSettings
from sentinel.errors import TransientError
from sentinel.health import HealthChecker, Probe
from sentinel.logs import get_logger
from sentinel.slack_settings import SlackSettings
from sentinel.stores.history.protocol import SeriesHistory
from sentinel.stores.sql.stores import SqlStores

log = get_logger("api")

_BEARER = HTTPBearer(auto_error=False, description="An API key as a bearer token.")
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


@dataclass(frozen=True)
class ApiParts:
    """The stores, the probes and the wall clock (`now`, epoch seconds). Without a `history` its routes answer 503.

    `slack`: who may answer on cards; as shipped it is off and there is no route for it.
    """

    stores: SqlStores
    now: Callable[[], float]
    history: SeriesHistory | None = None
    probes: tuple[Probe, ...] = ()
    audit: AuditSettings = field(default_factory=AuditSettings)
    slack: SlackSettings = field(default_factory=SlackSettings)

    def require_history(self) -> SeriesHistory:
        """The history, or `TransientError` where this process has none."""
        if self.history is None:
            raise TransientError("this process has no series history")
        return self.history


@dataclass(frozen=True)
class ApiState:
    """What one application holds."""

    parts: ApiParts
    keys: KeyRing
    health: HealthChecker
    failures: FailureBudget = field(compare=False)
    reading_failures: FailureBudget = field(compare=False)
    logins: LoginBook = field(compare=False)

    @classmethod
    def of(cls, settings: ApiSettings, parts: ApiParts) -> ApiState:
        """Build it from settings and parts; connects to nothing."""
        anchor = Probe("audit_anchor", lambda: _check_audit(parts), required=False)
        switch = Probe("kill_switch", lambda: _check_kill_switch(parts.stores), required=False)
        return cls(
            parts,
            KeyRing(settings.keys),
            HealthChecker((*parts.probes, anchor, switch), settings.probe_timeout),
            FailureBudget(settings.failed_logins_per_minute),
            FailureBudget(settings.failed_logins_per_minute),
            LoginBook(settings.login_audit_seconds),
        )


def _check_audit(parts: ApiParts) -> str:
    """Health shows heads of the audit that did not get outside in time."""
    parts.stores.audit.check_anchor()
    return check_late(parts.stores.audit.heads, parts.audit, parts.now())


def _check_kill_switch(stores: SqlStores) -> str:
    """Health shows a process whose actions are all stopped as degraded."""
    switch = stores.kill_switch.read()
    if switch.on:
        raise TransientError(switch.text)
    return switch.text


def _state(request: Request) -> ApiState:
    state: ApiState = request.app.state.sentinel
    return state


State = Annotated[ApiState, Depends(_state)]
"""The application's state, in a handler."""


def authenticate(state: ApiState, credentials: HTTPAuthorizationCredentials | None, least: Role) -> Caller:
    """The caller behind a bearer token; raises a 401 or 403 problem."""
    caller = state.keys.identify(credentials.credentials) if credentials else None
    if caller is None:
        metrics.AUTHENTICATION_FAILURES.inc()
        reason = "this key is not known" if credentials else "send an API key: Authorization: Bearer KEY"
        raise ProblemError(401, reason, rule="authentication", headers={"WWW-Authenticate": "Bearer"})
    if caller.role.rank < least.rank:
        metrics.AUTHENTICATION_FAILURES.inc()
        reason = f"{caller.name} has the role {caller.role.value}; this needs {least.value}"
        raise ProblemError(403, reason, rule="role")
    return caller


def _viewer(request: Request, state: State, credentials: _Credentials) -> Caller:
    return _reader(request, state, credentials, Role.VIEWER)


def _approver(request: Request, state: State, credentials: _Credentials) -> Caller:
    return _reader(request, state, credentials, Role.APPROVER)


def _reader(request: Request, state: ApiState, credentials: HTTPAuthorizationCredentials | None, least: Role) -> Caller:
    """Reading stays possible while the database is away: what could not be told to the audit then is in the log."""
    try:
        caller = authenticate(state, credentials, least)
    except ProblemError as error:
        if state.reading_failures.spend(state.parts.now()):
            with _best_effort("api_login_failure_not_audited"):
                _tell_failure(request, state, credentials, error, "api.login_failed", request.url.path)
        raise
    with _best_effort("api_login_not_audited"):
        _tell_login(request, state, caller)
    return caller


@contextmanager
def _best_effort(event: str) -> Iterator[None]:
    try:
        yield
    except TransientError as error:
        log.warning(event, error=str(error))


def _tell_login(request: Request, state: ApiState, caller: Caller) -> None:
    """The use of a key, once a while for each caller and address."""
    now, client = state.parts.now(), _client(request)
    if not state.logins.due(caller.name, client, now):
        return
    details = {"role": caller.role.value, "client": client, "request_id": request.state.request_id}
    try:
        state.parts.stores.audit.append(
            actor=caller.name,
            action="api.login",
            target="api",
            reason="a key was used",
            at=now,
            details=details,
            trace_id=request.state.trace_id,
        )
    except TransientError:
        state.logins.forget(caller.name, client)
        raise


def _tell_failure(
    request: Request,
    state: ApiState,
    credentials: HTTPAuthorizationCredentials | None,
    error: ProblemError,
    action: str,
    target: str,
) -> None:
    known = state.keys.identify(credentials.credentials) if credentials else None
    state.parts.stores.audit.append(
        actor=known.name if known else "unknown",
        action=action,
        target=target,
        reason=error.detail,
        at=state.parts.now(),
        details={"request_id": request.state.request_id, "rule": error.rule, "client": _client(request)},
        trace_id=request.state.trace_id,
    )


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


def _decider(request: Request, state: State, credentials: _Credentials) -> Caller:
    """Like `_approver`, and a failure goes to the audit, up to so many a minute."""
    try:
        caller = authenticate(state, credentials, Role.APPROVER)
    except ProblemError as error:
        if not state.failures.spend(state.parts.now()):
            raise ProblemError(
                429,
                "too many failed authentications on decisions",
                rule="too_many_failures",
                headers={"Retry-After": "60"},
            ) from error
        login = "approval.login_failed" if "request_id" in request.path_params else "safety.login_failed"
        target = str(request.path_params.get("request_id", request.url.path))
        _tell_failure(request, state, credentials, error, login, target)
        raise
    _tell_login(request, state, caller)
    return caller


Viewer = Annotated[Caller, Depends(_viewer)]
"""A caller who may read."""
Approver = Annotated[Caller, Depends(_approver)]
"""A caller who may decide and read the audit."""
Decider = Annotated[Caller, Depends(_decider)]
"""A caller who decides now; failures are audited."""

ObjectId = Annotated[str, Path(pattern=r"^[A-Za-z0-9._:-]{1,128}$", description="The object's id.")]
Word = Annotated[str, Query(max_length=255, pattern=r"^[^\x00-\x1f]*$", description="Exact value; empty matches all.")]
Instant = Annotated[float | None, Query(allow_inf_nan=False, description="Seconds since the epoch.")]
Cursor = Annotated[str, Query(max_length=512, description="`next_cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Most items on a page.")]
IdempotencyKey = Annotated[
    str, Header(max_length=255, pattern=r"^[!-~]*$", description="The same key again gets the first answer.")
]
