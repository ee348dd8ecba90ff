"""The application: routes, problems and the request's context put together."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from api import approvals, audit, history, incidents, operations, safety
from api.context import RequestContext
from api.parts import ApiParts, ApiState
from api.problems import MEDIA_TYPE, add_problem_handlers
from api.settings import ApiSettings
from api.slack import slack_router
from sentinel import __version__
from sentinel.api_types import ProblemDetails

_ERROR = {"model": ProblemDetails, "description": "A problem document (RFC 9457)."}


class _Application(FastAPI):
    """FastAPI describes every model as `application/json`; errors have a media type of their own."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        for path in document["paths"].values():
            for operation in path.values():
                content = operation["responses"]["default"]["content"]
                if "application/json" in content:
                    content[MEDIA_TYPE] = content.pop("application/json")
        return document


def create_app(settings: ApiSettings, parts: ApiParts) -> FastAPI:
    """The ASGI application over these parts. Connects to nothing and starts no thread."""
    app = _Application(
        title="AIOps Sentinel",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        description="Incidents, approvals, audit and health of AIOps Sentinel.",
        responses={"default": _ERROR},
        redirect_slashes=False,
    )
    app.state.sentinel = ApiState.of(settings, parts)
    for room in (incidents, approvals, audit, history, safety, operations):
        app.include_router(room.router)
    if parts.slack.over_http:
        app.include_router(slack_router(parts.slack, parts, app.state.sentinel.failures))
    add_problem_handlers(app)
    app.add_middleware(RequestContext)
    return app
