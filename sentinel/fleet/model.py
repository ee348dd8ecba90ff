"""The fleet itself: the state of every service, its faults, and what it measures because of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sentinel.catalogue import ServiceCatalogue
from sentinel.fleet.actions import (
    DOWNTIME_SECONDS,
    SETTLE_SECONDS,
    FleetAction,
    FleetRequestError,
    ServiceState,
    check_params,
    next_state,
)
from sentinel.fleet.clock import Phase, SimClock
from sentinel.fleet.effects import Effects
from sentinel.fleet.faults import PARAMS, BadDeployParams, Fault, FleetFault
from sentinel.fleet.patterns import DAY, MINUTE, Floats, Patterns
from sentinel.fleet.settings import FleetSettings, live_start


@dataclass(frozen=True, slots=True)
class Change:
    """A change of version, told in the telemetry as `change.deploy`; `at` is event time in seconds."""

    at: float
    service: str
    version: str
    previous: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequest:
    """An action asked of one service. `resource_version` None insists on nothing."""

    service: str
    action: FleetAction
    params: dict[str, Any]
    dry_run: bool = False
    resource_version: str | None = None
    idempotency_key: str = ""


class Fleet:
    """All services of a catalogue; safe to use from several threads.

    Faults act on state, and measurements follow from state and time: nothing here knows of any detector.
    """

    def __init__(self, catalogue: ServiceCatalogue, settings: FleetSettings, clock: SimClock) -> None:
        self.settings = settings
        self.clock = clock
        self.patterns = Patterns(catalogue, settings)
        self.events_produced = 0
        self._effects = Effects(catalogue, self.patterns, settings.damping)
        self._lock = threading.Lock()
        self._states = {name: ServiceState(name, ("1.0.0", "1.1.0")) for name in catalogue.services}
        self._newest = dict.fromkeys(catalogue.services, 1)
        self._bad_versions: dict[tuple[str, str], BadDeployParams] = {}
        self._faults: list[Fault] = []
        self._changes: list[Change] = []
        self._actions: list[dict[str, Any]] = []
        self._answers: dict[str, tuple[object, dict[str, Any]]] = {}

    @property
    def services(self) -> tuple[str, ...]:
        """Names of the services, in the order of every block of values."""
        return self.patterns.services

    def clock_state(self) -> dict[str, Any]:
        """The clock as the HTTP control shows it, with the number of events produced so far."""
        clock = self.clock
        return {
            "now": clock.now(),
            "factor": clock.factor,
            "paused": clock.paused,
            "phase": clock.phase.value,
            "events": self.events_produced,
        }

    def states(self) -> list[ServiceState]:
        """The state of every service, in the order of the catalogue."""
        with self._lock:
            return list(self._states.values())

    def state(self, service: str) -> ServiceState:
        """The state of one service; raises `FleetRequestError` 404 when there is none of that name."""
        with self._lock:
            return self._state(service)

    def faults(self) -> list[Fault]:
        """Every fault so far, in the order of injection; ended ones too."""
        with self._lock:
            return list(self._faults)

    def actions(self) -> list[dict[str, Any]]:
        """Every applied action, in order, with the states before and after."""
        with self._lock:
            return list(self._actions)

    def act(self, request: ActionRequest) -> dict[str, Any]:
        """Apply an action, or with `dry_run` only say what it would do.

        A known idempotency key gets the first answer again and nothing is done. Raises `FleetRequestError`: 404 unknown
        service, 409 another resource version, 422 bad parameters, a missing key, or a key
        that another request has used, 503 while the history is being produced.
        """
        params = check_params(request.action, request.params)
        with self._lock:
            state = self._state(request.service)
            asked = (request.service, request.action, params)
            if not request.dry_run:
                if not request.idempotency_key:
                    raise FleetRequestError(422, "idempotency_key: needed unless dry_run is true")
                if request.idempotency_key in self._answers:
                    return self._answered(request.idempotency_key, asked)
            self._refuse_history()
            if request.resource_version not in {None, state.resource_version}:
                raise FleetRequestError(
                    409,
                    f"{state.name} is at resource_version {state.resource_version}, not {request.resource_version}: "
                    "look at it again",
                )
            after = next_state(state, request.action, params)
            return self._apply(request, params, state, after)

    def inject(self, kind: FleetFault, service: str, params: dict[str, Any]) -> Fault:
        """Begin a fault now. Raises `FleetRequestError`: 404 unknown service, 422 bad parameters, 503 in the history."""
        try:
            checked = PARAMS[kind].model_validate(params)
        except ValidationError as error:
            first = error.errors()[0]
            raise FleetRequestError(422, f"params.{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        with self._lock:
            state = self._state(service)
            self._refuse_history()
            now = self.clock.now()
            if not isinstance(checked, BadDeployParams):
                return self._begin(Fault(self._fault_id(), kind, service, checked, now))
            version = checked.version or self._next_version(service)
            if version in state.versions:
                raise FleetRequestError(422, f"params.version: {service} has run {version} already; name a new version")
            self._bad_versions[service, version] = checked
            self._run_version(state.deployed(version), state, now, now, "deploy")
            return self._faults[-1]

    def deploy_harmless(self, service: str, at: float) -> None:
        """Roll out a version that changes nothing, as planned by the patterns."""
        with self._lock:
            state = self._state(service)
            self._run_version(state.deployed(self._next_version(service)), state, at, at, "deploy")

    def minute(self, start: int) -> Floats:
        """What every service measures in the minute from `start` on: values [services, metrics]."""
        with self._lock:
            return self._effects.minute(start, self._faults, self._actions, tuple(self._states.values()))

    def take_changes(self, before: float) -> list[Change]:
        """Take out the changes of version that happened before `before` and were not taken yet."""
        with self._lock:
            taken = [change for change in self._changes if change.at < before]
            self._changes = [change for change in self._changes if change.at >= before]
            return taken

    def _state(self, service: str) -> ServiceState:
        if service not in self._states:
            raise FleetRequestError(404, f"there is no service {service!r}; GET /v1/services lists them")
        return self._states[service]

    def _refuse_history(self) -> None:
        if self.clock.phase is Phase.HISTORY:
            raise FleetRequestError(
                503, "the history is still being produced; GET /v1/clock tells when the live phase begins"
            )

    def _answered(self, key: str, asked: object) -> dict[str, Any]:
        first, answer = self._answers[key]
        if first != asked:
            raise FleetRequestError(422, f"idempotency_key: {key!r} was used for another action")
        return answer

    def _apply(
        self, request: ActionRequest, params: dict[str, Any], state: ServiceState, after: ServiceState
    ) -> dict[str, Any]:
        now = self.clock.now()
        effective_at = now + SETTLE_SECONDS[request.action]
        answer = {
            "applied": not request.dry_run,
            "before": state.public(),
            "after": after.public(),
            "effective_at": effective_at,
            "downtime": DOWNTIME_SECONDS[request.action],
        }
        if request.dry_run:
            return answer
        self._run_version(after, state, now, effective_at, request.action.value)
        if request.action is FleetAction.RESTART:
            self._end(request.service, effective_at, "restart", {FleetFault.MEMORY_LEAK, FleetFault.CONNECTION_LEAK})
        self._answers[request.idempotency_key] = ((request.service, request.action, params), answer)
        self._actions.append(
            {
                "at": now,
                "service": request.service,
                "action": request.action.value,
                "params": params,
                "idempotency_key": request.idempotency_key,
                **answer,
            }
        )
        return answer

    def _run_version(
        self, after: ServiceState, before: ServiceState, now: float, effective_at: float, cause: str
    ) -> None:
        """Store `after`; when it runs another version, tell so, end the old version's fault and begin the new one's."""
        self._states[after.name] = after
        if after.version == before.version:
            return
        self._changes.append(Change(now, after.name, after.version, before.version, cause))
        self._end(after.name, effective_at, cause, {FleetFault.BAD_DEPLOY})
        params = self._bad_versions.get((after.name, after.version))
        if params:
            self._begin(Fault(self._fault_id(), FleetFault.BAD_DEPLOY, after.name, params, effective_at))

    def _begin(self, fault: Fault) -> Fault:
        self._faults.append(fault)
        return fault

    def _end(self, service: str, at: float, by: str, kinds: set[FleetFault]) -> None:
        for fault in self._faults:
            if fault.service == service and fault.kind in kinds and fault.ended_at is None:
                fault.ended_at, fault.ended_by = at, by

    def _fault_id(self) -> str:
        return f"fault-{len(self._faults) + 1}"

    def _next_version(self, service: str) -> str:
        self._newest[service] += 1
        return f"1.{self._newest[service]}.0"


def make_fleet(
    catalogue: ServiceCatalogue, settings: FleetSettings, wall: Callable[[], float], *, live: bool = True
) -> Fleet:
    """A fleet with its clock: at the start of the live phase, or (`live=False`) at the start of its history."""
    start = live_start(settings)
    if not live:
        start -= int(settings.history_days * DAY) // MINUTE * MINUTE
    clock = SimClock(start, settings.factor, wall, Phase.LIVE if live else Phase.HISTORY)
    if live and settings.start_paused:
        clock.pause()
    return Fleet(catalogue, settings, clock)
