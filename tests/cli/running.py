"""Run a command in this process, as `sentinel ARGUMENTS` would, and small states for it to work on."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
import yaml
from typer.testing import CliRunner, Result

from sentinel.cli import bootstrap
from sentinel.cli.app import app
from sentinel.cli.settings import load_settings
from sentinel.stores.sql.stores import SqlStores

ROOT = Path(__file__).resolve().parents[2]


def sentinel(*arguments: str | Path, env: Mapping[str, str] | None = None, stdin: str | bytes | None = None) -> Result:
    """The result of `sentinel ARGUMENTS`: `exit_code`, `stdout`, `stderr`; an error that is not Sentinel's is raised."""
    clean = {"SENTINEL_API_KEY": None, "SENTINEL_CONFIG": None, **(env or {})}
    before, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    try:
        result = CliRunner().invoke(app, [str(part) for part in arguments], env=clean, input=stdin)
    finally:
        # The command logs to a stderr that is closed now.
        structlog.configure(**before)
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def sentinel_process(
    *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own, for what may be opened only once in a process."""
    return subprocess.run(
        [sys.executable, "-m", "sentinel.cli.app", *map(str, arguments)],
        cwd=cwd or ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "COLUMNS": "200", **(env or {})},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def parsed(result: Result | subprocess.CompletedProcess[str]) -> Any:
    """What a command with `--json` printed; nothing else may stand on stdout."""
    return json.loads(result.stdout)


def configuration(folder: Path, **sections: Any) -> Path:
    """A configuration file in `folder` whose state is below it."""
    file = folder / "sentinel.yaml"
    file.write_text(yaml.safe_dump({"state_dir": str(folder / "state"), **sections}))
    return file


@contextmanager
def stores_of(config: Path) -> Iterator[SqlStores]:
    """The SQL stores of a configuration."""
    with bootstrap.sql_of(load_settings(config)) as stores:
        yield stores
