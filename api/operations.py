"""For those who run Sentinel: `/healthz`, `/readyz`, `/health`, `/health/detailed` and `/metrics`."""

from __future__ import annotations

import contextlib

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from api.parts import State, Viewer
from api.problems import ProblemError
from sentinel import metrics
from sentinel.errors import TransientError
from sentinel.health import HealthReport, HealthState

router = APIRouter(tags=["operations"])


@router.get("/healthz", operation_id="healthz")
def healthz() -> dict[str, str]:
    """The process answers. Asks nothing else: a liveness probe must not restart it for a dependency."""
    return {"status": "ok"}


@router.get("/readyz", operation_id="readyz")
def readyz(state: State) -> dict[str, str]:
    """200 while every required part works, else 503 with their names."""
    report = state.health.report()
    if report.state is HealthState.DOWN:
        names = [one.name for one in report.components if one.state is HealthState.DOWN]
        raise ProblemError(503, f"not ready: {', '.join(names)}", rule="not_ready", headers={"Retry-After": "1"})
    return {"status": report.state.value}


@router.get("/health", operation_id="health")
def health(state: State, response: Response) -> dict[str, str]:
    """`ok`, `degraded` (an optional part is away) or `down` (503), without details."""
    report = state.health.report()
    response.status_code = 503 if report.state is HealthState.DOWN else 200
    return {"status": report.state.value}


@router.get("/health/detailed", operation_id="health_detailed")
def health_detailed(state: State, _caller: Viewer, response: Response) -> HealthReport:
    """Every part with its state, reason and time. Needs a key: reasons name hosts and paths."""
    report = state.health.report()
    response.status_code = 503 if report.state is HealthState.DOWN else 200
    return report


@router.get("/metrics", operation_id="metrics", response_class=PlainTextResponse)
def prometheus(state: State) -> Response:
    """All metrics in Prometheus' text format."""
    with contextlib.suppress(TransientError):  # readiness says that the database is away; metrics must still come
        state.parts.stores.kill_switch.read()
    body, content_type = metrics.render()
    return Response(body, media_type=content_type)
