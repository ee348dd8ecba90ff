"""The service catalogue: which services exist, who calls whom, and what they are worth."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field, model_validator

from sentinel.config import Section


class ServiceEntry(Section):
    """One service of the catalogue."""

    calls: tuple[str, ...] = ()
    """Services that this one calls; a fault there shows here. Default none."""
    tier: int = Field(default=2, ge=0, le=4)
    """0 is what earns the money, 4 is nice to have. Policy and severity look at it. Default 2."""
    owner: str = ""
    """Team that is asked. Default empty."""
    backend: str = "fleet"
    """Executor that can act on the service. Default the simulated fleet."""
    resource: str = Field(default="", pattern=r"^([^/\s]*/[^/\s]+/\S+)?$")
    """What that executor acts on, as `namespace/kind/name`, such as `shop/deployment/checkout`; nothing before the first
    slash where the backend has no namespaces. Default empty: the executor knows the service by its name."""


class ServiceCatalogue(Section):
    """The call graph of the services, by name."""

    services: dict[str, ServiceEntry] = {}
    """Service name to its entry."""

    @model_validator(mode="after")
    def _calls_exist(self) -> ServiceCatalogue:
        for name, entry in self.services.items():
            for callee in entry.calls:
                if callee not in self.services:
                    raise ValueError(f"service {name!r} calls {callee!r}, which the catalogue does not have")
        return self

    def callees(self, service: str) -> tuple[str, ...]:
        """The services that `service` calls directly; empty when it is unknown."""
        entry = self.services.get(service)
        return entry.calls if entry else ()

    def callers(self, service: str) -> tuple[str, ...]:
        """The services that call `service` directly, sorted."""
        return tuple(sorted(name for name, entry in self.services.items() if service in entry.calls))

    def neighbours(self, service: str) -> frozenset[str]:
        """Direct callers and callees of `service`, without itself."""
        return frozenset((*self.callers(service), *self.callees(service))) - {service}

    def distance(self, one: str, other: str, limit: int = 8) -> int | None:
        """Hops between two services along calls in either direction; None when more than `limit` or not joined."""
        seen, frontier = {one}, {one}
        for hops in range(limit + 1):
            if other in frontier:
                return hops
            frontier = {n for service in frontier for n in self.neighbours(service)} - seen
            seen |= frontier
        return None

    def upstream_of(self, services: Iterable[str]) -> frozenset[str]:
        """Every service that (transitively) calls one of `services`, with `services` themselves."""
        reached = set(services)
        frontier = set(reached)
        while frontier:
            frontier = {caller for service in frontier for caller in self.callers(service)} - reached
            reached |= frontier
        return frozenset(reached)
