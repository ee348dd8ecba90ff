"""`sentinel demo --kubernetes`: a broken Deployment, its metrics, the incident, the approval, the roll-back, the check."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from remediation.executors.kubernetes.rights import manifests
from sentinel.api_client import ApiClient
from sentinel.approvals import ApprovalStatus, Role
from sentinel.cli.children import Children, free_port
from sentinel.cli.demo.cluster import ACCOUNT, BROKEN, NAMESPACE, SERVICE, WELL, DemoCluster
from sentinel.cli.demo.expectations import Expectations
from sentinel.cli.demo.world import APPROVER, wait_for_port
from sentinel.cli.keys import make_key
from sentinel.cli.settings import SHIPPED, load_settings
from sentinel.errors import PermanentError, TransientError
from sentinel.outcomes import Outcome, Result

T = TypeVar("T")

_PATIENCE = 90.0
"""Wall seconds that a part gets to start, and an incident to show."""
_LEARNING = 45.0
"""Wall seconds of well-being that detection sees first: the rule's warm-up and the windows of its detector."""

_RUNBOOK = {
    "name": "errors-rollback",
    "title": "Put the previous revision back",
    "match": {"kinds": ["errors"], "metrics": ["error_ratio"]},
    "steps": [{"action": "rollback", "reason": "errors began; the previous revision ran well"}],
    "expect": "errors fall as soon as the previous revision serves",
}


def play_on_cluster(folder: Path, image: str, say: Callable[[str], None]) -> Expectations:
    """Play the one scene on the cluster of the current kubeconfig; everything that was made there is removed again."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "runbooks").mkdir(parents=True)
    (folder / "runbooks" / "errors-rollback.yaml").write_text(yaml.safe_dump(_RUNBOOK, sort_keys=False))
    cluster = DemoCluster(image, folder)
    say(f"{SERVICE} is rolled out in the namespace {NAMESPACE} of {cluster.context()}")
    cluster.claim()
    try:
        cluster.roll_out()
        return _play(cluster, folder, say)
    finally:
        say("the namespace is removed")
        cluster.close()


def _play(cluster: DemoCluster, folder: Path, say: Callable[[str], None]) -> Expectations:
    key, sha256 = make_key()
    ports = {name: free_port() for name in ("broker", "api")}
    config = folder / "sentinel.yaml"
    shipped = load_settings(SHIPPED / "demo-kubernetes.yaml").remediation
    grants = manifests(shipped.executor.kubernetes, shipped.policy.allow, ACCOUNT, NAMESPACE)
    written = _configuration(folder, ports, sha256, cluster.allow(grants), cluster.open_page())
    config.write_text(yaml.safe_dump(written, sort_keys=False))
    say(f"Sentinel has an account there that may do what the allow-list says; logs are in {folder / 'logs'}")
    base = ["--config", str(config)]
    with Children(folder / "logs") as children, ApiClient(f"http://127.0.0.1:{ports['api']}", key) as api:
        children.start("broker", [*base, "broker"])
        wait_for_port(children, ports["broker"], _PATIENCE)
        children.start("up", [*base, "up"])
        children.wait_for_url(f"{api.url}/readyz", _PATIENCE)
        children.start("scrape", [*base, "scrape"])
        return _scene(cluster, children, api, say)


def _scene(cluster: DemoCluster, children: Children, api: ApiClient, say: Callable[[str], None]) -> Expectations:
    expectations, scene = Expectations(), "a broken Deployment"

    def until(what: str, look: Callable[[], T | None], seconds: float = _PATIENCE) -> T:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            children.check()
            try:
                if seen := look():
                    return seen
            except TransientError:
                pass
            time.sleep(0.2)
        raise PermanentError(f"waited {seconds:g} s in vain for {what}")

    say(f"sentinel scrape reads its metrics; detection learns for {_LEARNING:g} s what is usual")
    until("metrics of the service", lambda: api.series(service=SERVICE, name="error_ratio"))
    time.sleep(_LEARNING)
    expectations.expect(scene, "no incident while all is well", not api.incidents().items)
    cluster.break_it()
    say(f"a new revision is rolled out that fails {float(BROKEN):.0%} of its requests")
    incident = until("an incident", lambda: next(iter(api.incidents().items), None))
    say(f"incident {incident.id}: {incident.title}")
    request = until(
        "a question",
        lambda: next(iter(api.approvals(status=ApprovalStatus.PENDING, incident_id=incident.id).items), None),
    )
    say(f"asked: {request.previews[0].text}")
    expectations.expect(scene, "nothing happens before the answer", cluster.errors() == BROKEN, cluster.errors())
    decision = api.approve(request.id, digest=request.digest, reason="the demo approves")
    say(f"approved by {decision.actor} for digest {decision.digest[:12]}")

    def ended() -> Outcome | None:
        return next(iter(api.incident(incident.id).outcomes), None)

    outcome = until("the fix to be verified", ended, 150.0)
    say(f"{outcome.result}: {outcome.reason}")
    expectations.expect(scene, "the previous revision is back", cluster.errors() == WELL, cluster.errors())
    expectations.expect(scene, "verified by the detector that fired", outcome.result is Result.VERIFIED, outcome.reason)
    expectations.expect(scene, "the audit chain verifies", api.verify_audit().ok)
    return expectations


def _configuration(folder: Path, ports: dict[str, int], sha256: str, kubeconfig: Path, page: str) -> dict[str, Any]:
    """The shipped configuration with what differs from run to run."""
    made: dict[str, Any] = yaml.safe_load((SHIPPED / "demo-kubernetes.yaml").read_text())
    made |= {
        "state_dir": str(folder.absolute()),
        "kafka": {"bootstrap": f"127.0.0.1:{ports['broker']}"},
        "api": {"port": ports["api"], "keys": [{"name": APPROVER, "role": Role.APPROVER.value, "sha256": sha256}]},
    }
    made["scrape"]["targets"] = {SERVICE: {"url": page, "service": SERVICE, "keep": ["error_ratio"]}}
    made["remediation"]["runbooks"] = str((folder / "runbooks").absolute())
    made["remediation"]["executor"]["kubernetes"]["kubeconfig"] = str(kubeconfig.absolute())
    return made
