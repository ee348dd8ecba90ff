"""What can be done to a service of the fleet, and the state that it leads to. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from pydantic import Field, ValidationError

from sentinel.config import Section
from sentinel.errors import PermanentError


class FleetRequestError(PermanentError):
    """A request that the fleet refuses.

    `status` is the HTTP status: 404 unknown, 409 changed meanwhile, 422 wrong, 503 not yet.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class FleetAction(StrEnum):
    """The actions of the HTTP control."""

    RESTART = "restart"
    ROLLBACK = "rollback"
    SCALE = "scale"
    DEPLOY = "deploy"


class NoParams(Section):
    """`restart` and `rollback` take nothing."""


class ScaleParams(Section):
    """Parameters of `scale`."""

    replicas: int = Field(ge=1, le=100)
    """How many replicas to run."""


class DeployParams(Section):
    """Parameters of `deploy`."""

    version: str = Field(min_length=1, max_length=100)
    """The version to run: any that ran before, or a new one."""


_PARAMS: dict[FleetAction, type[NoParams | ScaleParams | DeployParams]] = {
    FleetAction.RESTART: NoParams,
    FleetAction.ROLLBACK: NoParams,
    FleetAction.SCALE: ScaleParams,
    FleetAction.DEPLOY: DeployParams,
}

SETTLE_SECONDS = {
    FleetAction.RESTART: 20.0,
    FleetAction.ROLLBACK: 30.0,
    FleetAction.SCALE: 15.0,
    FleetAction.DEPLOY: 30.0,
}
"""Event seconds from an action to its effect."""

DOWNTIME_SECONDS = {
    FleetAction.RESTART: 20.0,
    FleetAction.ROLLBACK: 0.0,
    FleetAction.SCALE: 0.0,
    FleetAction.DEPLOY: 0.0,
}
"""Event seconds in which a part of the replicas is away; versions and replicas change one by one, without any."""


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One service as it runs. `versions` is the way back: the last one runs, the one before is `rollback`'s aim."""

    name: str
    versions: tuple[str, ...]
    replicas: int = 3
    restarts: int = 0
    revision: int = 1
    flags: dict[str, bool] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The version that runs."""
        return self.versions[-1]

    @property
    def previous_version(self) -> str:
        """The version that `rollback` would run; empty when there is none."""
        return self.versions[-2] if len(self.versions) > 1 else ""

    @property
    def resource_version(self) -> str:
        """Changes with every change of this state; an action may insist on it."""
        return str(self.revision)

    def public(self) -> dict[str, Any]:
        """The state as the HTTP control shows it."""
        return {
            "name": self.name,
            "version": self.version,
            "previous_version": self.previous_version,
            "replicas": self.replicas,
            "restarts": self.restarts,
            "resource_version": self.resource_version,
            "flags": dict(self.flags),
        }

    def deployed(self, version: str) -> ServiceState:
        """The state with another version running; the same state when it runs already."""
        if version == self.version:
            return self
        return replace(self, versions=(*self.versions[-9:], version), revision=self.revision + 1)


def check_params(action: FleetAction, params: dict[str, Any]) -> dict[str, Any]:
    """Check the parameters of `action`; raises `FleetRequestError` 422 that names the wrong one."""
    try:
        return _PARAMS[action].model_validate(params).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in ("params", *first["loc"]))
        raise FleetRequestError(422, f"{place}: {first['msg']}") from error


def next_state(state: ServiceState, action: FleetAction, params: dict[str, Any]) -> ServiceState:
    """The state after `action` with checked `params`. Raises `FleetRequestError` 422 when there is nothing to roll back to."""
    match action:
        case FleetAction.RESTART:
            return replace(state, restarts=state.restarts + 1, revision=state.revision + 1)
        case FleetAction.ROLLBACK:
            if not state.previous_version:
                raise FleetRequestError(422, f"{state.name} has no earlier version to roll back to")
            return replace(state, versions=state.versions[:-1], revision=state.revision + 1)
        case FleetAction.SCALE:
            if params["replicas"] == state.replicas:
                return state
            return replace(state, replicas=params["replicas"], revision=state.revision + 1)
        case FleetAction.DEPLOY:
            return state.deployed(params["version"])
