"""A real Kubernetes control plane (API server, etcd, controllers, scheduler) whose nodes kwok plays: no container runs.

Built once by `k8s/cluster/build.sh` (about 8 minutes on two cores), started in about 10 seconds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).resolve().parents[2] / "k8s" / "cluster"
OPT_IN = "aiops-sentinel/remediate"
POD_FAILS = "pod-container-running-failed.stage.kwok.x-k8s.io"
"""Label that makes kwok's pods fail."""


def programs() -> Path:
    """The folder that `build.sh` fills."""
    return Path(_say('echo "$CONTROL_PLANE"').stdout.strip())


def can_build() -> bool:
    """Whether this machine has the Go tool chain that building needs."""
    return _say("find_go").returncode == 0


def _say(command: str) -> subprocess.CompletedProcess[str]:
    """What a command says that has the names of the scripts."""
    script = f'source "{SCRIPTS / "versions.sh"}" && {command}'
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)


def why_missing() -> str | None:
    """The reason why a control plane cannot run here, or None when it can."""
    if not (programs() / ".complete").exists():
        return "Kubernetes is not built in the user's cache: run k8s/cluster/build.sh (needs a Go tool chain)"
    if shutil.which("openssl") is None:
        return "a control plane needs openssl on PATH: apt-get install openssl"
    return None


class KubeCluster:
    """One control plane with its state in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kubectl = programs() / "kubectl"
        self.kubeconfig = folder / "kubeconfig"

    def start(self) -> None:
        """Start everything; waits until the nodes are ready."""
        done = subprocess.run(
            [str(SCRIPTS / "up.sh"), str(self._folder)], capture_output=True, text=True, timeout=110, check=False
        )
        assert done.returncode == 0, done.stderr

    def stop(self) -> None:
        """Stop everything by its process ids."""
        subprocess.run([str(SCRIPTS / "down.sh"), str(self._folder)], capture_output=True, timeout=60, check=True)

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """What kubectl says, as the administrator; an error of its own fails the test."""
        command = [str(self._kubectl), "--kubeconfig", str(self.kubeconfig), *arguments]
        environment = {**os.environ, "HOME": str(self._folder)}
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=60, check=False, env=environment
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def apply(self, *things: Any) -> None:
        """Create or change objects."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": things}))

    def get(self, *what: str) -> Any:
        """An object or a list as JSON."""
        return json.loads(self.kubectl("get", *what, "-o", "json"))

    def namespace(self, name: str) -> str:
        """Make a namespace; returns its name."""
        self.kubectl("create", "namespace", name)
        return name

    def deploy(self, namespace: str, name: str, **changes: Any) -> None:
        """Create a Deployment and wait until it is rolled out."""
        self.apply(deployment(namespace, name, **changes))
        self.rolled_out(namespace, name)

    def rolled_out(self, namespace: str, name: str) -> None:
        """Wait for the end of a roll-out."""
        self.kubectl("-n", namespace, "rollout", "status", f"deployment/{name}", "--timeout=50s")

    def account(self, namespace: str, name: str, grants: Sequence[Any], folder: Path) -> Path:
        """A service account with exactly these Roles; returns its kubeconfig."""
        self.kubectl("-n", namespace, "create", "serviceaccount", name)
        self.apply(*grants)
        token = self.kubectl("-n", namespace, "create", "token", name, "--duration=1h").strip()
        cluster = json.loads(self.kubeconfig.read_text())
        cluster["users"] = [{"name": "admin", "user": {"token": token}}]
        path = folder / f"{name}.kubeconfig"
        path.write_text(json.dumps(cluster))
        return path


def deployment(
    namespace: str,
    name: str,
    *,
    image: str = "registry.local/shop/app:1",
    replicas: int = 2,
    opt_in: str | None = "true",
    pod_labels: dict[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A Deployment of one container `app`; `spec` goes into its specification."""
    labels = {"app": name}
    container = {
        "name": "app",
        "image": image,
        "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
    }
    template = {"metadata": {"labels": {**labels, **(pod_labels or {})}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": {OPT_IN: opt_in} if opt_in else {}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec},
    }
