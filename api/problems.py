"""Every error as a problem document (RFC 9457): one shape, one place that decides the status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sentinel.api_types import ProblemDetails
from sentinel.canonical import canonical_json
from sentinel.errors import PermanentError, RefusedError, TransientError
from sentinel.logs import get_logger

MEDIA_TYPE = "application/problem+json"
STATUS_OF_RULE = {
    "authentication": 401,
    "role": 403,
    "unknown_request": 404,
    "cursor": 422,
    "wrong_digest": 409,
    "already_decided": 409,
    "already_voted": 409,
    "requester": 403,
    "unknown_parameter": 422,
    "expired": 410,
    "superseded": 410,
    "idempotency_key": 422,
}
"""HTTP status for each rule that can refuse."""

log = get_logger("api")


class ProblemError(Exception):
    """Raised in a handler to answer with this problem."""

    def __init__(self, status: int, detail: str, *, rule: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.rule, self.headers = status, detail, rule, dict(headers or {})


def problem_response(
    request: Request,
    status: int,
    detail: str,
    *,
    rule: str = "",
    errors: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The problem document as a response."""
    body = ProblemDetails(
        type=f"urn:sentinel:problem:{rule}" if rule else "about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        request_id=getattr(request.state, "request_id", ""),
        rule=rule,
        errors=tuple(errors),
    )
    return Response(canonical_json(body), status, dict(headers or {}), MEDIA_TYPE)


def problem_of(error: RefusedError) -> ProblemError:
    """The problem for a refusal by a rule."""
    return ProblemError(STATUS_OF_RULE.get(error.rule, 409), error.reason, rule=error.rule)


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error that a route or the router raises; what is left is answered in `api.context`."""
    handlers: dict[type[Exception], Any] = {
        ProblemError: _problem,
        RefusedError: _refused,
        HTTPException: _http,
        RequestValidationError: _invalid,
        TransientError: _transient,
        PermanentError: _permanent,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _problem(request: Request, error: ProblemError) -> Response:
    return problem_response(request, error.status, error.detail, rule=error.rule, headers=error.headers)


def _refused(request: Request, error: RefusedError) -> Response:
    return _problem(request, problem_of(error))


def _http(request: Request, error: HTTPException) -> Response:
    return problem_response(request, error.status_code, str(error.detail), headers=error.headers)


def _invalid(request: Request, error: RequestValidationError) -> Response:
    errors = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
    return problem_response(request, 422, errors[0] if errors else "invalid", rule="invalid_request", errors=errors)


def _transient(request: Request, error: TransientError) -> Response:
    log.warning("store_away", error=str(error), path=request.url.path)
    return problem_response(
        request, 503, "a store does not answer; try again", rule="store_away", headers={"Retry-After": "1"}
    )


def _permanent(request: Request, error: PermanentError) -> Response:
    log.error("request_failed", error=str(error), path=request.url.path)
    return problem_response(request, 500, "the request failed; the log has the reason", rule="internal")
