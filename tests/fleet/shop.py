"""A fleet for tests: the shipped catalogue, a clock that the test moves by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sentinel.catalogue import ServiceCatalogue
from sentinel.config_files import load_file
from sentinel.fleet.actions import FleetAction
from sentinel.fleet.model import ActionRequest, Fleet, make_fleet
from sentinel.fleet.patterns import METRICS
from sentinel.fleet.settings import FleetSettings

CATALOGUE = load_file(Path(__file__).parents[2] / "config" / "catalogue.yaml", ServiceCatalogue, {})


class Shop:
    """A live fleet whose minutes pass when the test says so."""

    def __init__(self, **settings: Any) -> None:
        self.wall = 0.0
        self.settings = FleetSettings(factor=1, **settings)
        self.fleet: Fleet = make_fleet(CATALOGUE, self.settings, lambda: self.wall)
        self.start = int(self.fleet.clock.now())
        self._keys = 0

    def pass_minutes(self, minutes: float) -> None:
        self.wall += minutes * 60

    def act(self, service: str, action: str, **params: Any) -> dict[str, Any]:
        self._keys += 1
        asked = ActionRequest(
            service=service, action=FleetAction(action), params=params, idempotency_key=f"key-{self._keys}"
        )
        return self.fleet.act(asked)

    def measure(self, service: str, metric: str, minute: float | None = None) -> float:
        """The value in the running minute, or in the one that holds the event time `minute`."""
        at = self.fleet.clock.now() if minute is None else minute
        row = self.fleet.services.index(service)
        return float(self.fleet.minute(int(at // 60 * 60))[row, METRICS.index(metric)])
