"""The tree of commands as typer builds it, for tests that look at every one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main

from sentinel.cli.app import app

Tree = dict[tuple[str, ...], Any]


def commands() -> Tree:
    """Every command that does something, by its words: `("incidents", "list")`."""
    return dict(_leaves(typer.main.get_command(app), ()))


def _leaves(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if not inner:
        yield words, command
        return
    for name, child in inner.items():
        yield from _leaves(child, (*words, name))
