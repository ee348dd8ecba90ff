"""The wheel: everything that an installation needs is in it, and the installed command finds its own files."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.cli.running import ROOT, configuration

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ROOMS = ("sentinel", "operators", "dataflows", "remediation", "api")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built by its own build backend."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel; the dependencies are those of this one, the checkout is not on its path."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    uv = Path(sys.executable).parent / "uv"
    subprocess.run(
        [uv, "pip", "install", "--offline", "--no-deps", "--python", python, wheel], capture_output=True, check=True
    )
    return folder / "bin"


def run(bin_folder: Path, cwd: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [bin_folder / arguments[0], *arguments[1:]],
        cwd=cwd, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def tracked(*folders: str) -> set[str]:
    """The files of the checkout that belong to a wheel, below these folders."""
    return {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_has_every_room_and_the_shipped_configuration(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert not tracked(*ROOMS) - names
    shipped = {name.replace("config/", "sentinel/shipped/", 1) for name in tracked("config")}
    assert not shipped - names
    for needed in (
        "sentinel/py.typed", "sentinel/stores/sql/migrations/env.py", "sentinel/shipped/sentinel.yaml",
        "sentinel/shipped/runbooks/bad-deploy.yaml", "api/openapi.json",
    ):  # fmt: skip
        assert needed in names
    assert any(name.startswith("sentinel/stores/sql/migrations/versions/0001") for name in names)


def test_the_wheel_has_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(ROOMS)
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if "__pycache__" in name or name.endswith(".nbc")]


def test_the_installed_command_knows_its_version_and_its_own_files(bin_folder: Path, tmp_path: Path) -> None:
    version = run(bin_folder, tmp_path, "sentinel", "--version")
    assert version.stdout.startswith("sentinel "), version.stderr
    program = (
        "import sentinel.cli.settings as s; print(s.__file__, s.SHIPPED, *sorted(p.name for p in s.SHIPPED.iterdir()))"
    )
    where = run(bin_folder, tmp_path, "python", "-c", program)
    module, shipped, *files = where.stdout.split()
    assert Path(module).is_relative_to(bin_folder.parent)
    assert Path(shipped).is_relative_to(bin_folder.parent)
    assert {"sentinel.yaml", "demo.yaml", "catalogue.yaml", "runbooks"} <= set(files)


def test_the_installed_command_checks_a_file_that_names_nothing(bin_folder: Path, tmp_path: Path) -> None:
    done = run(bin_folder, tmp_path, "sentinel", "check", configuration(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "bad-deploy" in done.stdout


def test_the_installed_command_checks_the_installed_example(bin_folder: Path, tmp_path: Path) -> None:
    [example] = bin_folder.parent.glob("lib/python*/site-packages/sentinel/shipped/sentinel.yaml")
    done = run(bin_folder, tmp_path, "sentinel", "check", example)
    assert done.returncode == 0, done.stderr


def test_the_installed_command_makes_its_database(bin_folder: Path, tmp_path: Path) -> None:
    done = run(bin_folder, tmp_path, "sentinel", "-c", configuration(tmp_path), "incidents", "list", "--json")
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
    assert (tmp_path / "state" / "sentinel.db").exists()
