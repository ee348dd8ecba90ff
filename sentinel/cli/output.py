"""How commands print: a table for people, JSON for scripts, errors to stderr with an exit code."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sentinel.canonical import plain
from sentinel.errors import ConfigError, RefusedError, SentinelError, TransientError

P = ParamSpec("P")
R = TypeVar("R")

EXIT_FAILED = 1
"""The command ran and the answer is no (an audit chain that does not hold, an expectation that failed)."""
EXIT_USAGE = 2
"""Bad arguments or a bad configuration."""
EXIT_REFUSED = 3
"""A rule refused it."""
EXIT_AWAY = 4
"""A service that is needed does not answer; the same command may work later."""

_WIDTH = None if sys.stdout.isatty() else 150
"""Of a pipe or a file: rich would fold tables to 80 columns there."""

console = Console(width=_WIDTH)
errors = Console(stderr=True)


def print_json(value: Any) -> None:
    """Print any value of the vocabulary as indented JSON on stdout."""
    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def say(text: str, *, strong: str = "", faint: str = "") -> None:
    """Print one line as it is, never broken nor read as markup; `faint` and `strong` stand before it in that style."""
    console.print(Text.assemble((faint, "dim"), (strong, "bold"), text), soft_wrap=True)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as a table; long cells fold, and brackets in them are text."""
    table = Table(title=Text(title), title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console.print(table)


def at(seconds: float | None) -> str:
    """Epoch seconds as `2026-11-23 09:00:00` in UTC; empty for None."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def fail(text: str, code: int) -> NoReturn:
    """Print to stderr and end the command with `code`."""
    errors.print(text, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def exit_codes(command: Callable[P, R]) -> Callable[P, R]:
    """Turn Sentinel's own errors into their text on stderr and the documented exit code; others stay tracebacks."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except ConfigError as error:
            fail(str(error), EXIT_USAGE)
        except RefusedError as error:
            fail(str(error), EXIT_REFUSED)
        except TransientError as error:
            fail(str(error), EXIT_AWAY)
        except SentinelError as error:
            fail(str(error), EXIT_FAILED)

    return wrapped
