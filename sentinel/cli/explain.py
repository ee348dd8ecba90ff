"""`sentinel explain`: why something fired, or why it did not, recomputed from the archive."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain")(explain)


def explain(context: typer.Context) -> None:
    """Say why a series alerted, or did not, in a window."""
