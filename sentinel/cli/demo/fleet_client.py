"""What the demo asks of the simulated fleet, over its HTTP API."""

from __future__ import annotations

from typing import Any

import httpx

from sentinel.errors import TransientError


class FleetClient:
    """Clock, faults and the log of applied actions of a running fleet."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=5.0)

    def clock(self) -> dict[str, Any]:
        """`now` (event seconds), `factor`, `phase` and `events` produced so far."""
        found: dict[str, Any] = self._call("GET", "/v1/clock")
        return found

    def set_clock(self, **changes: object) -> None:
        """Change the clock: `paused` or `factor`."""
        self._call("POST", "/v1/clock", changes)

    def inject(self, kind: str, service: str) -> dict[str, Any]:
        """Inject one fault into a service; returns it with its id and event time."""
        found: dict[str, Any] = self._call("POST", "/v1/faults", {"kind": kind, "service": service, "params": {}})
        return found

    def service(self, name: str) -> dict[str, Any]:
        """The state of one service."""
        found: dict[str, Any] = self._call("GET", f"/v1/services/{name}")
        return found

    def actions(self) -> list[dict[str, Any]]:
        """Every action the fleet has applied, in order."""
        found: list[dict[str, Any]] = self._call("GET", "/v1/actions")
        return found

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _call(self, method: str, path: str, body: object = None) -> Any:
        try:
            answer = self._http.request(method, path, json=body)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise TransientError(f"the fleet at {self.url} did not answer {method} {path}: {error}") from error
        return answer.json()
