"""Which services one fault can explain, read from the call graph; no other module of grouping walks the graph."""

from __future__ import annotations

from collections.abc import Iterable

from sentinel.catalogue import ServiceCatalogue


def dependencies(catalogue: ServiceCatalogue, service: str, reach: int) -> dict[str, int]:
    """Services whose fault can show in `service`, with the number of calls to them: itself (0) and up to `reach`."""
    found = {service: 0}
    frontier = [service]
    for hops in range(1, reach + 1):
        frontier = [callee for name in frontier for callee in catalogue.callees(name) if callee not in found]
        found.update(dict.fromkeys(frontier, hops))
    return found


def common_causes(
    catalogue: ServiceCatalogue, services: Iterable[str], *, reach: int, quiet_reach: int
) -> frozenset[str]:
    """Services any one of which could explain a fault in all of `services`; empty when there is none.

    One of `services` explains those that reach it by `reach` calls; a service that is not among them, and so quiet, by
    `quiet_reach` calls. An incident keeps this set non-empty. That is the guard against chains: A joined to B joined to
    C makes one incident only while one single service could be behind all three.
    """
    below = {service: dependencies(catalogue, service, max(reach, quiet_reach)) for service in services}
    if not below:
        return frozenset()
    shared = frozenset.intersection(*(frozenset(own) for own in below.values()))
    return frozenset(
        cause
        for cause in shared
        if max(own[cause] for own in below.values()) <= (reach if cause in below else quiet_reach)
    )


def relation(catalogue: ServiceCatalogue, one: str, other: str, reach: int) -> str:
    """How two services are joined, as the middle of a sentence: `checkout calls payments`; empty when they are not."""
    if one == other:
        return f"same service {one}"
    below_one, below_other = dependencies(catalogue, one, reach), dependencies(catalogue, other, reach)
    for caller, callee, hops in ((one, other, below_one.get(other)), (other, one, below_other.get(one))):
        if hops is not None:
            return f"{caller} calls {callee}" if hops == 1 else f"{caller} depends on {callee} ({hops} calls away)"
    shared = sorted(below_one.keys() & below_other.keys(), key=lambda name: (below_one[name] + below_other[name], name))
    return f"{one} and {other} both depend on {shared[0]}" if shared else ""
