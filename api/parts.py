"""What the API works on, chosen by whoever starts it, and how a handler gets at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.failures import FailureBudget
from api.keys import Caller, KeyRing
from api.problems import ProblemError
from api.settings import ApiSettings
from sentinel import metrics
from sentinel.approvals import Role
from sentinel.errors import TransientError
from sentinel.health import HealthChecker, Probe
from sentinel.slack_settings import SlackSettings
from sentinel.stores.history.protocol import SeriesHistory
from sentinel.stores.sql.stores import SqlStores

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

    @classmethod
    def of(cls, settings: ApiSettings, parts: ApiParts) -> ApiState:
        """Build it from settings and parts; connects to nothing."""
        anchor = Probe("audit_anchor", parts.stores.audit.check_anchor, required=False)
        switch = Probe("kill_switch", lambda: _check_kill_switch(parts.stores), required=False)
        return cls(
            parts,
            KeyRing(settings.keys),
            HealthChecker((*parts.probes, anchor, switch), settings.probe_timeout),
            FailureBudget(settings.failed_logins_per_minute),
        )


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


def _viewer(state: State, credentials: _Credentials) -> Caller:
    return authenticate(state, credentials, Role.VIEWER)


def _approver(state: State, credentials: _Credentials) -> Caller:
    return authenticate(state, credentials, Role.APPROVER)


def _decider(request: Request, state: State, credentials: _Credentials) -> Caller:
    """Like `_approver`, and a failure goes to the audit, up to so many a minute."""
    try:
        return authenticate(state, credentials, Role.APPROVER)
    except ProblemError as error:
        now = state.parts.now()
        if not state.failures.spend(now):
            raise ProblemError(
                429,
                "too many failed authentications on decisions",
                rule="too_many_failures",
                headers={"Retry-After": "60"},
            ) from error
        known = state.keys.identify(credentials.credentials) if credentials else None
        state.parts.stores.audit.append(
            actor=known.name if known else "unknown",
            action="approval.login_failed" if "request_id" in request.path_params else "safety.login_failed",
            target=str(request.path_params.get("request_id", request.url.path)),
            reason=error.detail,
            at=now,
            details={
                "request_id": request.state.request_id,
                "rule": error.rule,
                "client": request.client.host if request.client else "",
            },
            trace_id=request.state.trace_id,
        )
        raise


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
