"""The cluster of `sentinel demo --kubernetes`: a service in a namespace of its own, and an account for Sentinel there."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sentinel.cli.children import free_port
from sentinel.errors import PermanentError

NAMESPACE = "sentinel-demo"
SERVICE = "checkout"
ACCOUNT = "sentinel"
PORT = 8080
WELL, BROKEN = "0.01", "0.4"
"""Share of failing requests that the two versions tell."""

PYTHON_IMAGE = "python:3.12-alpine"
PROGRAM = """
import http.server, math, os, time
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ratio = float(os.environ["ERRORS"]) * (1 + 0.1 * math.sin(time.time()))
        body = f"# TYPE error_ratio gauge\\nerror_ratio {ratio:.5f}\\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("", 8080), Page).serve_forever()
"""
"""The service, for an image that has Python and nothing else; another image brings its own program."""


class DemoCluster:
    """The current context of a kubeconfig, through kubectl: the demo makes and removes what the executor never could."""

    def __init__(self, image: str, folder: Path) -> None:
        """Nothing is called yet. Raises `PermanentError` without kubectl."""
        if shutil.which("kubectl") is None:
            raise PermanentError(
                "the demo on a cluster needs kubectl on PATH and a kubeconfig that leads to the cluster"
            )
        self._image = image
        self._folder = folder
        self._proxy: subprocess.Popen[bytes] | None = None

    def context(self) -> str:
        """Name of the current context."""
        return self._kubectl("config", "current-context").strip()

    def claim(self) -> None:
        """Make the namespace. Raises `PermanentError` when it is there already: what is in it may not be the demo's."""
        self._kubectl("create", "namespace", NAMESPACE)

    def roll_out(self) -> None:
        """Make the service's first version, and wait until it runs."""
        self._apply(self._deployment(), _service())
        self._kubectl("-n", NAMESPACE, "rollout", "status", f"deployment/{SERVICE}", "--timeout=90s", seconds=100)

    def allow(self, grants: Sequence[Any]) -> Path:
        """Make Sentinel's service account with exactly these Roles; returns its kubeconfig."""
        self._kubectl("-n", NAMESPACE, "create", "serviceaccount", ACCOUNT)
        self._apply(*grants)
        token = self._kubectl("-n", NAMESPACE, "create", "token", ACCOUNT, "--duration=1h").strip()
        config = json.loads(self._kubectl("config", "view", "--minify", "--flatten", "-o", "json"))
        user = config["contexts"][0]["context"]["user"]
        config["users"] = [{"name": user, "user": {"token": token}}]
        path = self._folder / "kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        return path

    def open_page(self) -> str:
        """Address on loopback of the service's metrics, by way of the API server, for as long as the demo runs."""
        port = free_port()
        with (self._folder / "proxy.log").open("ab") as log:
            self._proxy = subprocess.Popen(
                ["kubectl", "proxy", f"--port={port}"], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        return f"http://127.0.0.1:{port}/api/v1/namespaces/{NAMESPACE}/services/{SERVICE}:{PORT}/proxy/metrics"

    def break_it(self) -> None:
        """Roll out a version that fails."""
        self._kubectl("-n", NAMESPACE, "set", "env", f"deployment/{SERVICE}", f"ERRORS={BROKEN}")

    def errors(self) -> str:
        """What the Deployment says about its errors now: the cluster's word, not Sentinel's."""
        path = "jsonpath={.spec.template.spec.containers[0].env[0].value}"
        return self._kubectl("-n", NAMESPACE, "get", "deployment", SERVICE, "-o", path)

    def close(self) -> None:
        """Stop the proxy and remove the namespace with everything in it."""
        if self._proxy is not None:
            self._proxy.terminate()
            self._proxy.wait(10)
        with suppress(PermanentError):
            self._kubectl("delete", "namespace", NAMESPACE, "--wait=false")

    def _deployment(self) -> dict[str, Any]:
        container: dict[str, Any] = {
            "name": "app",
            "image": self._image,
            "imagePullPolicy": "IfNotPresent",
            "env": [{"name": "ERRORS", "value": WELL}],
            "ports": [{"containerPort": PORT}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": PORT}, "periodSeconds": 1},
        }
        if self._image == PYTHON_IMAGE:
            container["command"] = ["python", "-c", PROGRAM]
        pod = {"containers": [container], "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1}
        labels = {"app": SERVICE}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": SERVICE, "namespace": NAMESPACE, "labels": {"aiops-sentinel/remediate": "true"}},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }

    def _apply(self, *things: Any) -> None:
        self._kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": things}))

    def _kubectl(self, *arguments: str, text: str = "", seconds: float = 30.0) -> str:
        done = subprocess.run(
            ["kubectl", *arguments], input=text, capture_output=True, text=True, timeout=seconds, check=False
        )
        if done.returncode:
            raise PermanentError(f"kubectl {' '.join(arguments[:4])}: {done.stderr.strip()[-500:]}")
        return done.stdout


def _service() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": SERVICE, "namespace": NAMESPACE},
        "spec": {"selector": {"app": SERVICE}, "ports": [{"port": PORT, "targetPort": PORT}]},
    }
