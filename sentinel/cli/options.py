"""Options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sentinel.cli.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def settings_of(context: typer.Context) -> Settings:
    """The settings that the command works with: the file of `--config`, or the usual places."""
    from sentinel.cli.settings import find_file, load_settings

    return load_settings(find_file(context.obj))
