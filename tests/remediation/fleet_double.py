"""A small stateful fleet over httpx, as docs/seams.md has it: for tests that need no server."""

import json
from typing import Any

import httpx

from remediation.executors.fleet import FleetExecutor
from remediation.settings import FleetSettings


class FleetDouble:
    """Services by name; `at` is event time. Set `down` and every call fails as if the fleet were away."""

    def __init__(self, *names: str, at=10_000.0) -> None:
        self.at = at
        self.down = False
        self.states = {name: self._fresh(name) for name in names}
        self.actions: list[Any] = []
        self._answers: dict[str, Any] = {}

    def executor(self):
        return FleetExecutor(FleetSettings(url="http://fleet"), httpx.MockTransport(self._handle))

    def touch(self, name, **fields):
        """Somebody else changes the service."""
        self.states[name] |= fields
        self.states[name]["resource_version"] = str(int(self.states[name]["resource_version"]) + 1)

    def _fresh(self, name):
        return {
            "name": name,
            "version": "1.1.0",
            "previous_version": "1.0.0",
            "replicas": 3,
            "restarts": 0,
            "resource_version": "1",
            "flags": {},
        }

    def _handle(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("connection refused")
        parts = request.url.path.strip("/").split("/")
        state = self.states.get(parts[2])
        if state is None:
            return _problem(404, f"there is no service {parts[2]!r}")
        if request.method == "GET":
            return httpx.Response(200, json=state)
        return self._act(state, parts[4], json.loads(request.content))

    def _act(self, state, action, body) -> httpx.Response:
        key = body.get("idempotency_key", "")
        if not body["dry_run"] and key in self._answers:
            return httpx.Response(200, json=self._answers[key])
        if body.get("resource_version") not in (None, state["resource_version"]):
            return _problem(409, f"{state['name']} is at {state['resource_version']}")
        after = _after(dict(state), action, body["params"])
        if isinstance(after, str):
            return _problem(422, after)
        after["resource_version"] = str(int(state["resource_version"]) + 1)
        answer = {
            "applied": not body["dry_run"],
            "before": dict(state),
            "after": after,
            "effective_at": self.at,
            "downtime": 0,
        }
        if not body["dry_run"]:
            self.states[state["name"]] = dict(after)
            self._answers[key] = answer
            self.actions.append((action, state["name"], body["params"]))
        return httpx.Response(200, json=answer)


def _after(state, action, params):
    match action:
        case "restart":
            return state | {"restarts": state["restarts"] + 1}
        case "rollback":
            if not state["previous_version"]:
                return "no earlier version"
            return state | {"version": state["previous_version"], "previous_version": ""}
        case "scale":
            replicas = params.get("replicas")
            return state | {"replicas": replicas} if isinstance(replicas, int) else "params.replicas: missing"
        case "deploy":
            return state | {"version": params["version"], "previous_version": state["version"]}
    return f"no action {action}"


def _problem(status, detail) -> httpx.Response:
    return httpx.Response(status, json={"status": status, "detail": detail})
