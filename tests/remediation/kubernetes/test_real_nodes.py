"""What only running pods can show: a crash loop, a kill for memory, a probe that gates a roll-out, an image that is not there.

Runs inside a box with a real kubelet and containerd: `make test-kubernetes`, as root.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from remediation.executors.kubernetes.executor import KubernetesExecutor
from remediation.executors.kubernetes.rights import manifests
from remediation.executors.kubernetes.rollouts import ready_at
from remediation.kubernetes_settings import KubernetesSettings
from sentinel.errors import TransientError
from tests.remediation.kubernetes.world import ALL_TYPES, SHOP, action, rule, target
from tests.services.kube_cluster import KubeCluster, deployment, programs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "SENTINEL_REAL_NODES" not in os.environ, reason="needs a real node: make test-kubernetes, as root"
    ),
]

PROBE = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1}


@pytest.fixture(scope="module")
def box():
    """The cluster of the box that this test run is in."""
    cluster = KubeCluster(Path(os.environ["KUBECONFIG"]).parent)
    cluster.namespace(SHOP)
    return cluster


@pytest.fixture(scope="module")
def executor(box, tmp_path_factory):
    settings = KubernetesSettings(namespaces=(SHOP,), wait=4.0)
    grants = manifests(settings, [rule(*ALL_TYPES)], "sentinel", SHOP)
    path = box.account(SHOP, "sentinel", grants, tmp_path_factory.mktemp("account"))
    made = KubernetesExecutor(settings.model_copy(update={"kubeconfig": str(path)}), time.time)
    yield made
    made.close()


def deploy(box, name, **env):
    """Two replicas of the service that is as unwell as its environment says, well at first."""
    thing = deployment(SHOP, name, image="registry.local/sick:1", progressDeadlineSeconds=8)
    pod = thing["spec"]["template"]["spec"]
    pod |= {"automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1}
    pod["containers"][0] |= {"readinessProbe": PROBE, "imagePullPolicy": "IfNotPresent"}
    thing["spec"]["strategy"] = {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    box.apply(thing)
    box.rolled_out(SHOP, name)
    return target(name)


def pods(box, name):
    """The pods that are not on their way out."""
    found = box.get("pods", "-n", SHOP, "-l", f"app={name}")["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def states(box, name):
    """What each container waits for, or why its last run ended."""
    found = set()
    for pod in pods(box, name):
        for status in pod["status"].get("containerStatuses", ()):
            found.add(status["state"].get("waiting", {}).get("reason", ""))
            found.add(status["lastState"].get("terminated", {}).get("reason", ""))
    return found - {""}


def wait_until(box, name, reason):
    for _ in range(120):
        if reason in states(box, name):
            return
        time.sleep(0.25)
    raise AssertionError(f"{name}: never {reason}, but {states(box, name)}")


def act(executor, deed, version, key):
    """What the worker does: asks again under the same key while the roll-out goes on."""
    for _ in range(15):
        try:
            return executor.apply(deed, version, key)
        except TransientError as error:
            if "goes on" not in str(error):
                raise
    raise AssertionError("the roll-out never ended")


def serving(box, name):
    """The environments of the pods that are ready."""
    return sorted(str(pod["spec"]["containers"][0].get("env", [])) for pod in pods(box, name) if ready_at([pod]))


def test_a_crash_loop_is_rolled_back(box, executor):
    place = deploy(box, "crash")
    box.kubectl("-n", SHOP, "set", "env", "deployment/crash", "CRASH=1")
    wait_until(box, "crash", "CrashLoopBackOff")
    seen = executor.observe(place)
    time.sleep(3)  # it crashes on meanwhile
    assert executor.observe(place) == seen, "a crash loop supersedes the question"
    deed = action("rollback", "crash")
    assert "spec.template.spec.containers[app].env" in executor.dry_run(deed).text
    applied = act(executor, deed, seen.resource_version, "key-crash")
    assert executor.verify_applied(deed, applied) == ""
    assert serving(box, "crash") == ["[]", "[]"]
    assert not states(box, "crash") & {"CrashLoopBackOff", "Error"}


def test_a_kill_for_memory_ends_with_more_of_it(box, executor):
    place = deploy(box, "hungry")
    box.kubectl("-n", SHOP, "set", "env", "deployment/hungry", "MEBIBYTES=300")
    wait_until(box, "hungry", "OOMKilled")
    seen = executor.observe(place)
    assert seen.fields["memory.app"] == "256Mi"
    deed = action("set_memory", "hungry", container="app", mebibytes=400)
    applied = act(executor, deed, seen.resource_version, "key-hungry")
    assert executor.verify_applied(deed, applied) == ""
    assert len(serving(box, "hungry")) == 2
    assert "OOMKilled" not in states(box, "hungry")


def test_a_probe_gates_a_roll_out(box, executor):
    place = deploy(box, "probed")
    paused = act(executor, action("pause_rollout", "probed"), executor.observe(place).resource_version, "key-pause")
    assert paused.after.fields["paused"]
    box.kubectl("-n", SHOP, "set", "env", "deployment/probed", "UNREADY=1")
    deed, at = action("resume_rollout", "probed"), executor.observe(place).resource_version
    with pytest.raises(TransientError, match="replicas"):
        executor.apply(deed, at, "key-resume")
    assert serving(box, "probed") == ["[]", "[]"], "the old pods go on serving"
    applied = act(executor, deed, at, "key-resume")
    assert "has timed out progressing" in executor.verify_applied(deed, applied)
    back = action("rollback", "probed")
    undone = act(executor, back, executor.observe(place).resource_version, "key-back")
    assert executor.verify_applied(back, undone) == ""
    assert serving(box, "probed") == ["[]", "[]"]


def test_an_image_that_is_not_there_is_seen_and_put_back(box, executor):
    place = deploy(box, "tagged")
    before = executor.observe(place)
    deed = action("set_image", "tagged", container="app", tag="9")
    inverse = executor.inverse(deed, before)
    applied = act(executor, deed, before.resource_version, "key-image")
    assert states(box, "tagged") & {"ErrImagePull", "ImagePullBackOff"}
    assert "not complete" in executor.verify_applied(deed, applied)
    undone = act(executor, inverse, applied.after.resource_version, "undo-image")
    assert executor.verify_applied(inverse, undone) == ""
    good = action("set_image", "tagged", container="app", tag="2")
    done = act(executor, good, undone.after.resource_version, "key-good")
    assert (executor.verify_applied(good, done), done.after.fields["image.app"]) == ("", "registry.local/sick:2")


def test_an_evicted_pod_is_replaced_by_one_that_runs(box, executor):
    place = deploy(box, "evicted")
    old = {pod["metadata"]["name"] for pod in pods(box, "evicted")}
    deed = action("evict_pod", "evicted", pod="@worst")
    applied = act(executor, deed, executor.observe(place).resource_version, "key-evicted")
    assert executor.verify_applied(deed, applied) == ""
    assert len(serving(box, "evicted")) == 2
    assert {pod["metadata"]["name"] for pod in pods(box, "evicted")} - old


@pytest.mark.timeout(400)
def test_the_demo_plays_one_fault_end_to_end(box, tmp_path):
    """Metrics by `sentinel scrape`, incident, approval, roll-back, verification; nothing is left on the cluster."""
    environment = {**os.environ, "PATH": f"{programs()}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "sentinel.cli.app", "demo", "--kubernetes", "--image", "registry.local/sick:1"]
    command += ["--state", str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=390, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok ") == 5
    box.kubectl("wait", "--for=delete", "namespace/sentinel-demo", "--timeout=60s")
