"""Faults of the simulated fleet: what each kind does to a service's measurements, and until when. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field

from sentinel.config import Section


class FleetFault(StrEnum):
    """The kinds of fault that can be injected."""

    BAD_DEPLOY = "bad_deploy"
    MEMORY_LEAK = "memory_leak"
    CONNECTION_LEAK = "connection_leak"


class BadDeployParams(Section):
    """A new version that fails: only another version helps."""

    version: str = ""
    """Name of the new version; empty takes the next number."""
    error_ratio: float = Field(default=0.15, ge=0, le=1)
    """Errors on top of the usual ones, as a share of requests."""
    latency_factor: float = Field(default=3, ge=1)
    """How many times slower it answers."""


class MemoryLeakParams(Section):
    """Memory that is never given back: only a restart helps."""

    minutes: float = Field(default=30, gt=0)
    """Event minutes from the usual level to `level`."""
    level: float = Field(default=0.97, gt=0, le=1)
    """Where the memory ratio ends."""
    latency_factor: float = Field(default=3, ge=1)
    """How many times slower it answers once the memory is full; it begins at 0.9."""


class ConnectionLeakParams(Section):
    """Connections that are never closed. It looks like too much load, but new replicas leak as well: restart."""

    latency_factor: float = Field(default=3, ge=1)
    """How many times slower it answers."""
    cpu_ratio: float = Field(default=0.92, gt=0, le=1)
    """CPU that is burnt whatever the load and the number of replicas."""


FaultParams = BadDeployParams | MemoryLeakParams | ConnectionLeakParams

PARAMS: dict[FleetFault, type[BadDeployParams | MemoryLeakParams | ConnectionLeakParams]] = {
    FleetFault.BAD_DEPLOY: BadDeployParams,
    FleetFault.MEMORY_LEAK: MemoryLeakParams,
    FleetFault.CONNECTION_LEAK: ConnectionLeakParams,
}
"""The parameters of each kind of fault."""

_MEMORY_PRESSURE = 0.9


@dataclass(slots=True)
class Fault:
    """One fault in one service, from `at` until `ended_at` (event time; None while it lasts)."""

    id: str
    kind: FleetFault
    service: str
    params: FaultParams
    at: float
    ended_at: float | None = None
    ended_by: str = ""

    def active(self, minute: float) -> bool:
        """Whether the fault shows in the minute that starts at `minute`.

        It shows from the minute it began in, and no more in the minute it ended in.
        """
        return self.at < minute + 60 and (self.ended_at is None or self.ended_at >= minute + 60)


@dataclass(frozen=True, slots=True)
class Impact:
    """What a fault does to its own service: errors added, latency multiplied, floors under CPU and memory ratio."""

    errors: float = 0.0
    latency: float = 1.0
    cpu: float = 0.0
    memory: float = 0.0


def impact(fault: Fault, minute: float, usual_memory: float) -> Impact:
    """What `fault` does in the minute that starts at `minute`; `usual_memory` is the service's healthy memory ratio."""
    params = fault.params
    match params:
        case BadDeployParams():
            return Impact(errors=params.error_ratio, latency=params.latency_factor)
        case ConnectionLeakParams():
            return Impact(latency=params.latency_factor, cpu=params.cpu_ratio)
        case MemoryLeakParams():
            ripe = min(1.0, (minute + 60 - fault.at) / (params.minutes * 60))
            memory = usual_memory + max(0.0, params.level - usual_memory) * ripe
            pressure = max(0.0, memory - _MEMORY_PRESSURE) / max(params.level - _MEMORY_PRESSURE, 1e-9)
            return Impact(latency=1 + (params.latency_factor - 1) * min(1.0, pressure), memory=memory)
