"""The shipped example and the page about it say what the code does."""

import json
import subprocess
import sys
import time
from pathlib import Path

import httpx

from remediation.evidence import target_of
from remediation.executors.kubernetes.actions import TYPES, kind_of
from remediation.executors.kubernetes.rights import manifests
from remediation.policy import allowed
from sentinel.cli.demo.cluster import NAMESPACE, PROGRAM, SERVICE
from sentinel.cli.settings import load_settings
from sentinel.plans import Scalar
from tests.cli.running import sentinel
from tests.remediation.kubernetes.world import action
from tests.services.processes import answers, free_port

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "config" / "kubernetes"


def test_the_shipped_rights_are_those_of_the_shipped_example():
    settings = load_settings(EXAMPLE / "sentinel.yaml").remediation
    found = manifests(settings.executor.kubernetes, settings.policy.allow, "sentinel", "sentinel")
    assert [thing["kind"] for thing in found] == ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"]
    shipped = json.loads((EXAMPLE / "rights.json").read_text())
    assert shipped == {"apiVersion": "v1", "kind": "List", "items": found}
    shown = sentinel("kubernetes-rights", str(EXAMPLE / "sentinel.yaml"))
    assert json.loads(shown.stdout) == shipped


def test_the_example_acts_on_nothing_until_it_is_told_to():
    assert load_settings(EXAMPLE / "sentinel.yaml").remediation.executor.acting == frozenset()


def test_every_entry_of_the_examples_allow_list_allows_something():
    settings = load_settings(EXAMPLE / "sentinel.yaml")
    targets = [target_of(name, entry) for name, entry in settings.services.services.items()]
    params: dict[str, dict[str, Scalar]] = {
        "scale": {"replicas": 2},
        "rollback_to": {"revision": 1},
        "evict_pod": {"pod": "@worst"},
    }
    params |= {"set_memory": {"container": "a", "mebibytes": 64}, "set_config": {"key": "A", "value": "b"}}
    for rule in settings.remediation.policy.allow:
        for kind in rule.actions:
            fitting = [target for target in targets if target.kind == kind_of(kind)]
            assert any(allowed(action(kind, one, **params.get(kind, {})), [rule]) for one in fitting), (kind, rule)


def test_the_page_names_every_action():
    page = (ROOT / "docs" / "kubernetes-executor.md").read_text()
    assert not [name for name in TYPES if f"`{name}`" not in page]


def test_the_demos_program_serves_what_scraping_reads():
    port = free_port()
    program = PROGRAM.replace("8080", str(port))
    child = subprocess.Popen([sys.executable, "-c", program], env={"ERRORS": "0.4"}, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if answers(port):
                break
            time.sleep(0.05)
        page = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    finally:
        child.kill()
        child.wait()
    name, value = page.splitlines()[1].split()
    assert name == "error_ratio"
    assert 0.35 < float(value) < 0.45


def test_the_demos_configuration_lets_it_act_on_its_own_deployment_alone():
    settings = load_settings(ROOT / "config" / "demo-kubernetes.yaml").remediation
    rights = manifests(settings.executor.kubernetes, settings.policy.allow, "sentinel", NAMESPACE)
    named = [rule["resourceNames"] for rule in rights[0]["rules"] if "update" in rule["verbs"]]
    assert (len(rights), rights[0]["metadata"]["namespace"], named) == (2, NAMESPACE, [[SERVICE]])
