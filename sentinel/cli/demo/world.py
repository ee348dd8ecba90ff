"""The demo's world: broker, fleet and Sentinel as real processes, a stand-in for Slack, and the clients that watch them."""

from __future__ import annotations

import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

from sentinel.api_client import ApiClient
from sentinel.approvals import ApprovalRequest, ApprovalStatus, Role
from sentinel.audit_keys import SigningKey, add_public, write_private
from sentinel.cli.children import Children, free_port
from sentinel.cli.demo.fleet_client import FleetClient
from sentinel.cli.demo.slack_stand_in import SlackStandIn
from sentinel.cli.keys import make_key
from sentinel.cli.settings import SHIPPED
from sentinel.errors import PermanentError, TransientError
from sentinel.incidents import Incident
from sentinel.metrics import totals

T = TypeVar("T")

APPROVER = "demo-approver"
"""The name under which the demo answers approvals."""

_PATIENCE = 60.0
_LOOK = 0.05


@dataclass(frozen=True)
class World:
    """What the scenes work with. Every look goes over the public APIs, as a user's would."""

    fleet: FleetClient
    api: ApiClient
    children: Children
    config: Path
    key: str
    slack: SlackStandIn

    def until(self, what: str, look: Callable[[], T | None], seconds: float = _PATIENCE) -> T:
        """Look until there is something; `PermanentError` says what did not happen in `seconds` of wall time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.children.check()
            try:
                seen = look()
            except TransientError:
                seen = None
            if seen is not None and seen is not False:
                return seen
            time.sleep(_LOOK)
        raise PermanentError(f"waited {seconds:g} s in vain for {what}")

    def incidents_since(self, event_time: float) -> list[Incident]:
        """Incidents that opened at or after `event_time`, oldest first."""
        return sorted(self.api.incidents(since=event_time, limit=200).items, key=lambda one: one.opened_at)

    def pending(self, incident_id: str) -> ApprovalRequest | None:
        """The request that waits for a person, if there is one."""
        found = self.api.approvals(status=ApprovalStatus.PENDING, incident_id=incident_id).items
        return found[0] if found else None

    def actions_since(self, event_time: float) -> list[dict[str, Any]]:
        """What the fleet applied at or after `event_time`: its own log, not Sentinel's word."""
        return [action for action in self.fleet.actions() if action["at"] >= event_time]

    def counters(self) -> dict[str, float]:
        """Sentinel's metrics by sample name, summed over labels; `TransientError` while it does not answer."""
        try:
            return totals(httpx.get(f"{self.api.url}/metrics", timeout=5.0).text)
        except httpx.HTTPError as error:
            raise TransientError(f"no metrics from {self.api.url}: {error}") from error

    def now(self) -> float:
        """The fleet's event time."""
        return float(self.fleet.clock()["now"])


@contextmanager
def open_world(state: Path, overrides: dict[str, Any], say: Callable[[str], None]) -> Iterator[World]:
    """Make `state` anew, write the configuration, start broker, Sentinel and fleet; all are stopped at the end.

    `overrides` are merged over the shipped `config/demo.yaml`.
    """
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
    key, sha256 = make_key()
    ports = {name: free_port() for name in ("broker", "fleet", "api")}
    config = state / "sentinel.yaml"
    slack = SlackStandIn(secrets.token_hex(16))
    base = ["--config", str(config)]
    with slack.serving(), Children(state / "logs") as children:
        runs = _merge({"slack": slack.settings(), "audit": _audit(state)}, overrides)
        config.write_text(yaml.safe_dump(_configuration(state, ports, sha256, runs), sort_keys=False))
        say(f"starting the broker, Sentinel and the fleet; logs are in {state / 'logs'}")
        children.start("broker", [*base, "broker"])
        wait_for_port(children, ports["broker"])
        children.start("up", [*base, "up"])
        children.start("fleet", [*base, "fleet"])
        children.wait_for_url(f"http://127.0.0.1:{ports['api']}/readyz", 60.0)
        children.wait_for_url(f"http://127.0.0.1:{ports['fleet']}/v1/clock", 60.0)
        fleet = FleetClient(f"http://127.0.0.1:{ports['fleet']}")
        with ApiClient(f"http://127.0.0.1:{ports['api']}", key) as api:
            yield World(fleet, api, children, config, key, slack)
        fleet.close()


def _configuration(state: Path, ports: dict[str, int], sha256: str, overrides: dict[str, Any]) -> dict[str, Any]:
    """The shipped demo configuration with what differs from run to run."""
    shipped: dict[str, Any] = yaml.safe_load((SHIPPED / "demo.yaml").read_text())
    runs: dict[str, Any] = {
        "state_dir": str(state.absolute()),
        "catalogue_file": str(SHIPPED / "catalogue.yaml"),
        "kafka": {"bootstrap": f"127.0.0.1:{ports['broker']}"},
        "fleet": {"port": ports["fleet"]},
        "api": {"port": ports["api"], "keys": [{"name": APPROVER, "role": Role.APPROVER.value, "sha256": sha256}]},
        "remediation": {
            "runbooks": str(SHIPPED / "runbooks"),
            "executor": {"fleet": {"url": f"http://127.0.0.1:{ports['fleet']}"}},
        },
    }
    return _merge(_merge(shipped, runs), overrides)


def _audit(state: Path) -> dict[str, Any]:
    """A new key for the heads of the audit, and a file that stands for a place outside."""
    key = SigningKey.generate()
    write_private(state / "audit.key", key)
    add_public(state / "audit.pub", key)
    outside = {"kind": "file", "path": "outside/audit-heads.jsonl"}
    return {"key": "file:audit.key", "public_keys": "audit.pub", "sign_every": 5, "anchors": [outside]}


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def wait_for_port(children: Children, port: int, seconds: float = 30.0) -> None:
    """Return when something listens on `port`; raise `PermanentError` when a child dies or the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        children.check()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise PermanentError(f"nothing listens on port {port}")
