"""HTTP control of the simulated fleet: clock, services, actions and faults, as `docs/seams.md` has them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.exceptions import HTTPException

from sentinel.config import Section
from sentinel.errors import PermanentError
from sentinel.fleet.actions import FleetAction, FleetRequestError
from sentinel.fleet.faults import Fault, FleetFault
from sentinel.fleet.model import ActionRequest, Fleet


class ActionBody(Section):
    """Body of an action."""

    params: dict[str, Any] = {}
    """Parameters of the action: `replicas` of `scale`, `version` of `deploy`."""
    dry_run: bool = False
    """Only say what would happen."""
    resource_version: str | None = None
    """Refuse with 409 unless the service is at this version; null insists on nothing."""
    idempotency_key: str = ""
    """Needed unless `dry_run`: the same key again gets the first answer and does nothing."""


class FaultBody(Section):
    """Body of an injection."""

    kind: FleetFault
    """What goes wrong."""
    service: str
    """Where."""
    params: dict[str, Any] = {}
    """Parameters of the kind; empty takes its defaults."""


class ClockBody(Section):
    """What to change of the clock; what is left out stays."""

    factor: Annotated[float, Field(gt=0)] | None = None
    """Event seconds per wall second."""
    paused: bool | None = None
    """Stop the clock, or let it run on."""


def create_fleet_app(fleet: Fleet) -> FastAPI:
    """The ASGI application over one fleet. Every error is a problem document (RFC 9457)."""
    app = FastAPI(title="Simulated fleet", version="1")
    _add_problems(app)
    _add_clock(app, fleet)
    _add_services(app, fleet)
    _add_faults(app, fleet)
    return app


@contextmanager
def serve_fleet(fleet: Fleet, host: str, port: int) -> Iterator[str]:
    """Serve the fleet from a thread while the context lasts; gives the base URL. Port 0 takes a free one.

    Raises `PermanentError` when the address is in use.
    """
    listener = _listen(host, port)
    config = uvicorn.Config(create_fleet_app(fleet), log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="fleet-http", daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise PermanentError(
            f"the fleet cannot listen on {host}:{port} ({error.strerror}); set another `port`, or 0 for any free one"
        ) from error


def _add_clock(app: FastAPI, fleet: Fleet) -> None:
    @app.get("/v1/clock")
    def clock() -> dict[str, Any]:
        return fleet.clock_state()

    @app.post("/v1/clock")
    def set_clock(body: ClockBody) -> dict[str, Any]:
        if body.factor is not None:
            fleet.clock.set_factor(body.factor)
        if body.paused is not None:
            fleet.clock.pause(paused=body.paused)
        return fleet.clock_state()


def _add_services(app: FastAPI, fleet: Fleet) -> None:
    @app.get("/v1/services")
    def services() -> list[dict[str, Any]]:
        return [state.public() for state in fleet.states()]

    @app.get("/v1/services/{name}")
    def service(name: str) -> dict[str, Any]:
        return fleet.state(name).public()

    @app.post("/v1/services/{name}/actions/{action}")
    def act(name: str, action: FleetAction, body: ActionBody) -> dict[str, Any]:
        request = ActionRequest(
            service=name,
            action=action,
            params=body.params,
            dry_run=body.dry_run,
            resource_version=body.resource_version,
            idempotency_key=body.idempotency_key,
        )
        return fleet.act(request)

    @app.get("/v1/actions")
    def actions() -> list[dict[str, Any]]:
        return fleet.actions()


def _add_faults(app: FastAPI, fleet: Fleet) -> None:
    @app.get("/v1/faults")
    def faults() -> list[dict[str, Any]]:
        return [_public_fault(fault) for fault in fleet.faults()]

    @app.post("/v1/faults", status_code=HTTPStatus.CREATED)
    def inject(body: FaultBody) -> dict[str, Any]:
        return _public_fault(fleet.inject(body.kind, body.service, body.params))


def _public_fault(fault: Fault) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(fault, enc_hook=lambda params: params.model_dump())
    return shown


def _add_problems(app: FastAPI) -> None:
    @app.exception_handler(FleetRequestError)
    def refused(request: Request, error: FleetRequestError) -> JSONResponse:
        return _problem(request, error.status, error.detail)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return _problem(request, 422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> JSONResponse:
        return _problem(request, error.status_code, str(error.detail))


def _problem(request: Request, status: int, detail: str) -> JSONResponse:
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
    }
    return JSONResponse(body, status_code=status, media_type="application/problem+json")
