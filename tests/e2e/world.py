"""Sentinel as a user runs it: `sentinel` commands as processes, one configuration file, the public APIs and the topics.

A world has a simulated fleet with a short history, so that seasonal baselines hold nothing back at once and the rules for
errors and latency are warm. Its clock runs fast enough for a test and slow enough to do something to the loop at each point.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

from sentinel.api_client import ApiClient
from sentinel.approvals import ApprovalRequest, ApprovalStatus
from sentinel.cli.demo.fleet_client import FleetClient
from sentinel.cli.keys import make_key
from sentinel.cli.settings import SHIPPED, Settings, load_settings
from sentinel.errors import TransientError
from sentinel.incidents import Incident
from sentinel.metrics import totals
from tests.e2e.gate import Gate
from tests.services.processes import Process, free_port

T = TypeVar("T")

PATIENCE = 60.0
HISTORY_DAYS = 1
SERVICE = "checkout"


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Two configurations as one; the second wins."""
    result = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


@dataclass
class World:
    """One Sentinel with its fleet. Processes are started by name, killed or stopped by pid."""

    folder: Path
    settings: Settings
    api: ApiClient
    fleet: FleetClient
    gate: Gate
    """What the worker takes for the fleet."""
    processes: dict[str, Process] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "sentinel.yaml"

    def start(self, name: str, *arguments: str, ready: Callable[[], bool] | None = None) -> Process:
        """Start `sentinel ARGUMENTS...` (default: the name) and wait until it is ready."""
        process = self.processes.get(name)
        if process is None:
            command = [sys.executable, "-m", "sentinel.cli.app", "--config", self.config, *(arguments or (name,))]
            process = self.processes[name] = Process([str(part) for part in command], self.folder / f"{name}.log")
        process.start(ready or (lambda: True))
        self.starts[name] = self.starts.get(name, 0) + 1
        self.note(f"{name} runs")
        return process

    def up(self) -> Process:
        """Start `sentinel up`; returns when it is ready."""
        return self.start("up", ready=self.ready)

    def run_fleet(self) -> Process:
        """Start the fleet; returns when its control answers."""
        return self.start("fleet", ready=lambda: answers(f"{self.fleet.url}/v1/clock"))

    def kill(self, name: str) -> None:
        """SIGKILL one process."""
        assert self.processes[name].running(), f"{name} ended by itself:\n{self.processes[name].log_tail()}"
        self.processes[name].kill()
        self.note(f"{name} killed")

    def ready(self) -> bool:
        """Whether the API and everything that it needs answers."""
        return answers(f"{self.api.url}/readyz")

    def command(self, *arguments: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run one `sentinel` command to its end."""
        command = [sys.executable, "-m", "sentinel.cli.app", "--config", str(self.config), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)

    def until(self, what: str, look: Callable[[], T | None], seconds: float = PATIENCE) -> T:
        """Look every 20 ms until there is something."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check()
            try:
                seen = look()
            except (TransientError, httpx.HTTPError):
                seen = None
            if seen:
                self.note(f"seen: {what}")
                return seen
            time.sleep(0.02)
        raise TimeoutError(f"waited {seconds:g} s in vain for {what}\n{self.logs()}")

    def note(self, text: str) -> None:
        """What happened when: pytest shows it when the test fails."""
        print(f"{time.monotonic() - self.began:6.1f} s  {text}")

    def check(self) -> None:
        """Fail when a process that should run has ended by itself."""
        for name, process in self.processes.items():
            code = process.exit_code()
            assert code in (None, 0, -9), f"{name} ended with {code}:\n{process.log_tail()}"

    def logs(self) -> str:
        """The last lines of every process."""
        return "\n".join(f"--- {name}\n{process.log_tail(12)}" for name, process in self.processes.items())

    def counters(self) -> dict[str, float]:
        """The metrics of the process behind the API, summed over labels."""
        return totals(httpx.get(f"{self.api.url}/metrics", timeout=5.0).text)

    def decoded(self) -> int:
        """Events that detection has decoded since `up` was started the last time."""
        return int(self.counters().get("sentinel_events_decoded_total", 0))

    def live(self) -> None:
        """Wait until the fleet's history is produced."""
        self.until("the live phase", lambda: self.fleet.clock()["phase"] == "live")

    def incidents(self) -> list[Incident]:
        """Every incident that the API knows, oldest first."""
        return sorted(self.api.incidents(limit=200).items, key=lambda one: one.opened_at)

    def asked(self, service: str = SERVICE) -> ApprovalRequest | None:
        """The question that waits for a person, once it is about the right service.

        Right after a crash the archive is seconds behind; before it holds the deploy another service may be blamed, and
        that question is superseded.
        """
        found = self.api.approvals(status=ApprovalStatus.PENDING).items
        return next((one for one in found if one.plan.actions[0].target.name == service), None)

    def approve(self, request: ApprovalRequest) -> None:
        """Approve exactly what was asked."""
        self.api.approve(request.id, digest=request.digest, reason="looks right")

    def done(self) -> list[tuple[str, str]]:
        """What the fleet says was done to it: (action, service), in order."""
        return [(action["action"], action["service"]) for action in self.fleet.actions()]

    def audit_verified(self) -> dict[str, Any]:
        """What the offline verifier says."""
        result = self.command("audit", "verify", "--json")
        assert result.returncode == 0, result.stdout + result.stderr
        verdict: dict[str, Any] = json.loads(result.stdout)
        return verdict

    def close(self) -> None:
        """Stop what runs, last started first."""
        for process in reversed(self.processes.values()):
            if process.running():
                process.stop(seconds=20)
        self.api.close()
        self.fleet.close()
        self.gate.close()


def answers(url: str) -> bool:
    """Whether this URL answers 200."""
    try:
        return httpx.get(url, timeout=5.0).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


@contextmanager
def open_world(folder: Path, bootstrap: str, overrides: dict[str, Any] | None = None) -> Iterator[World]:
    """A world whose processes are not started yet; everything that was started is stopped at the end."""
    key, sha256 = make_key()
    fleet_port = free_port()
    gate = Gate(f"http://127.0.0.1:{fleet_port}")
    content = merged(_configuration(folder, bootstrap, fleet_port, gate.url, sha256), overrides or {})
    (folder / "sentinel.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    settings = load_settings(folder / "sentinel.yaml", {})
    api = ApiClient(f"http://127.0.0.1:{settings.api.port}", key)
    world = World(folder, settings, api, FleetClient(gate.fleet), gate)
    try:
        yield world
    finally:
        world.close()


def _configuration(folder: Path, bootstrap: str, fleet_port: int, executor_url: str, sha256: str) -> dict[str, Any]:
    return {
        "version": 1,
        "state_dir": str(folder / "state"),
        "catalogue_file": str(SHIPPED / "catalogue.yaml"),
        "kafka": {"bootstrap": bootstrap, "topic_prefix": f"{folder.name}."},
        "stores": {"embedder": "hashed"},
        "archive": {"group": f"archive-{folder.name}", "batch_seconds": 0.2},
        "telemetry": {"max_future": None},
        "flow": {"snapshot_interval": 1.0},
        "incidents": {
            "grouping": {"linger_seconds": 180, "idle_seconds": 3},
            "enrich": {"recheck_seconds": 1.0, "breaker_seconds": 5.0},
        },
        "fleet": {
            "port": fleet_port,
            "history_days": HISTORY_DAYS,
            "live_start": "2026-11-17T10:00:00Z",
            "factor": 60,
            "start_paused": True,
        },
        "remediation": {
            "runbooks": str(SHIPPED / "runbooks"),
            "policy": {"mode": "approve", "allow": [{"actions": ["rollback", "restart", "scale"], "name": "*"}]},
            "approvals": {"expires_after": 120, "max_asks": 2},
            "worker": {"settle": 1.0, "poll": 0.05, "lease": 3.0},
            "executor": {"kind": "fleet", "fleet": {"url": executor_url, "deadline": 5.0}},
        },
        "api": {
            "port": free_port(),
            "keys": [{"name": "kim", "role": "approver", "sha256": sha256}],
        },
    }
