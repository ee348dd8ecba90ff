"""Executors of a user's own: the page's example as a user tries it, and packages that cannot be used."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from remediation.executors.dry_run import DryRunExecutor
from remediation.executors.opening import open_executors
from remediation.executors.plugins import open_plugin
from remediation.settings import ExecutorSettings
from sentinel.errors import ConfigError
from tests.remediation.plugin_package import PAGE, configuration, files, install, replicas

SCRIPT = """
import json, sys
from pathlib import Path
from remediation.catalogue import Step, make_action
from remediation.evidence import target_of
from remediation.executors.opening import open_executors
from sentinel.cli.settings import load_settings

settings = load_settings(Path(sys.argv[1]))
target = target_of("cart", settings.services.services["cart"])
scale = make_action("act-1", Step(type="scale", service="cart", params={"replicas": 5}, reason="test"), target)
with open_executors(settings.remediation.executor) as executors:
    executor = executors[target.backend]
    preview = executor.dry_run(scale)
    applied = executor.apply(scale, preview.resource_version, "key-1")
    print(json.dumps([executor.describe(scale), applied.changed, executor.verify_applied(scale, applied)]))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return install(tmp_path_factory.mktemp("plugin"), files())


@pytest.fixture
def importable(site):
    sys.path.insert(0, str(site))
    yield
    sys.path.remove(str(site))
    sys.modules.pop("replicas_file", None)


def test_the_page_keeps_its_promise_of_thirty_lines():
    code = files()["replicas_file.py"]
    body = code[code.index("class FileExecutor:") :].splitlines()[1:]
    assert len([line for line in body if line.strip()]) <= 30
    assert max(map(len, code.splitlines())) <= 120


def test_the_example_of_the_page_works_as_a_user_tries_it(site, tmp_path):
    """Installed by itself, named in a configuration, used by a process of its own."""
    file = replicas(tmp_path, cart=3)
    config = tmp_path / "sentinel.yaml"
    config.write_text(configuration().replace("/srv/replicas.json", str(file)))
    root = str(PAGE.parents[1])
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(config)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join((root, str(site)))},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout) == ["scale cart replicas=5", True, ""]
    state = json.loads(file.read_text())
    assert state["services"] == {"cart": 5}
    assert len(state["done"]) == 1


def test_what_is_installed_and_not_named_is_not_loaded(importable):
    with open_executors(ExecutorSettings(kind="fleet")) as executors:
        assert "replicas_file" not in executors
    assert "replicas_file" not in sys.modules


def test_what_is_named_and_may_not_act_only_looks(importable, tmp_path):
    file = replicas(tmp_path, cart=3)
    settings = ExecutorSettings(kind="fleet", plugins={"replicas_file": {"file": str(file)}})
    with open_executors(settings) as executors:
        assert isinstance(executors["replicas_file"], DryRunExecutor)
        assert not isinstance(executors["fleet"], DryRunExecutor)


def test_a_name_that_no_package_offers_is_a_mistake_of_the_configuration(importable):
    with pytest.raises(ConfigError, match=r"no installed package offers the executor 'acme'; offered: replicas_file"):
        open_plugin("acme", {})


def offer(folder: Path, package: str, backend: str, code: str) -> None:
    """Installs by hand what an installer would have written."""
    (folder / f"{package}.py").write_text(code)
    info = folder / f"{package}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[sentinel.executors]\n{backend} = {package}:Made\n")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("class Made:\n    def __init__(self, settings): ...\n", "its backend is None; it has no method describe"),
        ("class Made:\n    backend = 'other'\n    def __init__(self, settings): ...\n", "its backend is 'other'"),
        (
            "class Made:\n    backend = 'bad'\n    def __init__(self, settings): ...\n    def observe(self): ...\n",
            "observe takes other arguments",
        ),
    ],
)
def test_what_is_no_executor_is_refused_at_the_start(tmp_path, code, reason):
    package = f"made_{abs(hash(code))}"
    offer(tmp_path, package, "bad", code)
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(ConfigError, match=reason):
            open_plugin("bad", {})
    finally:
        sys.path.remove(str(tmp_path))


def test_two_packages_of_one_name_are_refused(tmp_path):
    for package in ("first_made", "second_made"):
        offer(tmp_path, package, "twice", "class Made: ...\n")
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(ConfigError, match="several packages offer the executor 'twice'"):
            open_plugin("twice", {})
    finally:
        sys.path.remove(str(tmp_path))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"kind": "fleeet"}, "there is no executor fleeet; there are dry_run, fleet"),
        ({"kind": ["fleet", "acme"]}, "there is no executor acme"),
        ({"plugins": {"aws": {}}}, "aws comes with Sentinel"),
    ],
)
def test_a_backend_that_cannot_be_is_a_mistake_of_the_configuration(values, reason):
    with pytest.raises(ValueError, match=reason):
        ExecutorSettings.model_validate(values)


def test_several_backends_may_act_at_once():
    settings = ExecutorSettings.model_validate({"kind": ["fleet", "mine"], "plugins": {"mine": {}}})
    assert settings.acting == {"fleet", "mine"}
    assert ExecutorSettings().acting == frozenset()
