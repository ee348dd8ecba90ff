"""How faults, actions and replicas bend the healthy measurements of one minute, in a service and in its callers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sentinel.catalogue import ServiceCatalogue
from sentinel.fleet.actions import ServiceState
from sentinel.fleet.faults import Fault, impact
from sentinel.fleet.patterns import CPU, ERRORS, LATENCY, MEMORY, MINUTE, Floats, Patterns

_USUAL_REPLICAS = 3
_BLIP_ERRORS = 1.3
_BLIP_LATENCY = 1.1


def hop_weights(catalogue: ServiceCatalogue, damping: float) -> Floats:
    """Share [services, services] of a fault in the first that shows in the second: 1 at home, `damping` per call up."""
    names = tuple(catalogue.services)
    weights = np.zeros((len(names), len(names)))
    for row, name in enumerate(names):
        reached = {name}
        frontier, share = {name}, 1.0
        while frontier and share > 0:
            for service in frontier:
                weights[row, names.index(service)] = share
            frontier = {caller for service in frontier for caller in catalogue.callers(service)} - reached
            reached |= frontier
            share *= damping
    return weights


class Effects:
    """Turns the healthy values of a minute into what is measured, given faults, actions and states."""

    def __init__(self, catalogue: ServiceCatalogue, patterns: Patterns, damping: float) -> None:
        self._patterns = patterns
        self._weights = hop_weights(catalogue, damping)
        self._index = {name: row for row, name in enumerate(patterns.services)}

    def minute(
        self,
        start: int,
        faults: Sequence[Fault],
        actions: Sequence[Mapping[str, Any]],
        states: Sequence[ServiceState],
    ) -> Floats:
        """Values [services, metrics] of the minute from `start` on. Noise stays: effects multiply or lift it."""
        healthy: Floats = self._patterns.block(start, 1)[0]
        values: Floats = healthy.copy()
        self._replicas(values, states)
        errors = np.zeros(len(values))
        delay = np.zeros(len(values))
        for fault in faults:
            if not fault.active(start):
                continue
            row = self._index[fault.service]
            hit = impact(fault, start, float(healthy[row, MEMORY]))
            errors += hit.errors * self._weights[row]
            delay += (hit.latency - 1) * self._weights[row]
            # A tenth of the healthy movement stays on the floor: a dead flat line would look like a broken sensor.
            burnt = hit.cpu * (1 + 0.1 * (healthy[row, CPU] - 0.5))
            values[row, CPU] = max(values[row, CPU], burnt)
            values[row, MEMORY] = max(values[row, MEMORY], hit.memory)
        values[:, ERRORS] *= 1 + errors / self._patterns.profiles.errors
        values[:, LATENCY] *= 1 + delay
        self._blips(values, start, actions)
        for ratio in (ERRORS, CPU, MEMORY):
            values[:, ratio] = values[:, ratio].clip(0, 1)
        return values

    def _replicas(self, values: Floats, states: Sequence[ServiceState]) -> None:
        idle = self._patterns.profiles.cpu_idle
        share = _USUAL_REPLICAS / np.array([state.replicas for state in states], dtype=np.float64)
        values[:, CPU] = idle + (values[:, CPU] - idle) * share

    def _blips(self, values: Floats, start: int, actions: Sequence[Mapping[str, Any]]) -> None:
        for action in actions:
            if action["downtime"] and action["at"] < start + MINUTE and action["at"] + action["downtime"] > start:
                row = self._index[action["service"]]
                values[row, ERRORS] *= _BLIP_ERRORS
                values[row, LATENCY] *= _BLIP_LATENCY
