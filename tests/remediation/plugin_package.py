"""Packages with an executor, built and installed as a user does it: the one of docs/executors.md, and broken ones."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "executors.md"


def files() -> dict[str, str]:
    """The package's files by name, as they stand on the page."""
    return dict(re.findall(r"```(?:python|toml) (\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))


def configuration() -> str:
    """The configuration that the page gives for it."""
    found: list[str] = re.findall(r"```yaml configuration\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return found[0]


def install(folder: Path, contents: Mapping[str, str]) -> Path:
    """Builds the package and installs it beside nothing else; gives the folder for `sys.path`. Needs no network."""
    source, site = folder / "package", folder / "site"
    source.mkdir()
    for name, text in contents.items():
        (source / name).write_text(text, encoding="utf-8")
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation"]
    command += ["--python", sys.executable, "--target", str(site), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return site


def replicas(folder: Path, **services: int) -> Path:
    """The file that the page's executor works on."""
    file = folder / "replicas.json"
    file.write_text(json.dumps({"services": services, "done": {}}))
    return file
