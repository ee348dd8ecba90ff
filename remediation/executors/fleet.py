"""Acts on the simulated fleet over HTTP (`docs/seams.md`)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from remediation.catalogue import Step, describe, make_action
from remediation.executors.protocol import Applied, TargetState
from remediation.settings import FleetSettings
from sentinel.canonical import short_id
from sentinel.errors import PermanentError, RefusedError, TransientError
from sentinel.plans import Action, Preview, Scalar, Target

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses after which the same call may succeed."""


class FleetExecutor:
    """The fleet's HTTP control as an executor; one pooled client, safe for several threads."""

    backend = "fleet"

    def __init__(self, settings: FleetSettings, transport: httpx.BaseTransport | None = None) -> None:
        """Connect to nothing yet. `transport` replaces the network, for tests that have no server."""
        self._client = httpx.Client(base_url=settings.url, timeout=settings.deadline, transport=transport)

    def describe(self, action: Action) -> str:
        """See `Executor.describe`."""
        return f"{describe(action)} in the simulated fleet"

    def observe(self, target: Target) -> TargetState:
        """See `Executor.observe`."""
        return _state(self._call("GET", f"/v1/services/{_part(target.name)}"))

    def dry_run(self, action: Action) -> Preview:
        """See `Executor.dry_run`."""
        answer = self._act(action, {"dry_run": True, "resource_version": None})
        before, after = _state(answer["before"]), _state(answer["after"])
        changed = sorted(key for key in after.fields if after.fields[key] != before.fields.get(key))
        text = ", ".join(f"{key}: {before.fields.get(key)} -> {after.fields[key]}" for key in changed)
        return Preview(
            action_id=action.id,
            resource_version=before.resource_version,
            before=before.fields,
            after=after.fields,
            text=f"{describe(action)}: {text or 'nothing changes'}",
        )

    def apply(self, action: Action, resource_version: str, idempotency_key: str) -> Applied:
        """See `Executor.apply`."""
        body = {"dry_run": False, "resource_version": resource_version, "idempotency_key": idempotency_key}
        answer = self._act(action, body)
        return Applied(
            changed=bool(answer["applied"]),
            before=_state(answer["before"]),
            after=_state(answer["after"]),
            effective_at=float(answer["effective_at"]),
            downtime=float(answer["downtime"]),
        )

    def verify_applied(self, action: Action, applied: Applied) -> str:
        """See `Executor.verify_applied`."""
        live = self.observe(action.target)
        if live == applied.after:
            return ""
        wanted = applied.after.fields
        differing = ", ".join(
            f"{key} is {live.fields.get(key)}, not {wanted[key]}"
            for key in wanted
            if live.fields.get(key) != wanted[key]
        )
        return differing or f"resource version is {live.resource_version}, not {applied.after.resource_version}"

    def inverse(self, action: Action, before: TargetState) -> Action | None:
        """See `Executor.inverse`."""
        params: dict[str, Scalar]
        match action.type:
            case "rollback" | "deploy":
                kind, params = "deploy", {"version": before.fields["version"]}
            case "scale":
                kind, params = "scale", {"replicas": before.fields["replicas"]}
            case _:
                return None
        step = Step(type=kind, service=action.target.name, params=params, reason=f"undo of {describe(action)}")
        return make_action(short_id("act", action.id, "undo"), step, action.target)

    def close(self) -> None:
        """See `Executor.close`."""
        self._client.close()

    def _act(self, action: Action, body: dict[str, Any]) -> Any:
        path = f"/v1/services/{_part(action.target.name)}/actions/{_part(action.type)}"
        return self._call("POST", path, {"params": action.params, **body})

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            response = self._client.request(method, path, json=body)
        except httpx.TransportError as error:
            raise TransientError(f"fleet: {method} {path}: {str(error) or type(error).__name__}") from error
        if response.is_success:
            return response.json()
        text = f"fleet: {method} {path}: {response.status_code} {_detail(response)}"
        if response.status_code == httpx.codes.CONFLICT:
            raise RefusedError("drift", text)
        if response.status_code in _AGAIN:
            raise TransientError(text)
        raise PermanentError(text)


def _part(name: str) -> str:
    """One path segment: a name can never reach another path."""
    return quote(name, safe="")


def _detail(response: httpx.Response) -> str:
    """The problem document's detail, or the start of whatever came instead."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200]


def _state(body: dict[str, Any]) -> TargetState:
    """The state without its version; flags become `flag.<name>` fields, so that every field is a plain value."""
    fields = {key: value for key, value in body.items() if key not in ("resource_version", "flags", "name")}
    fields |= {f"flag.{key}": value for key, value in body.get("flags", {}).items()}
    return TargetState(resource_version=str(body["resource_version"]), fields=fields)
