"""`sentinel test`: policy and rules tried on the cases of a file, each case at its own time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentinel.cli.options import Json
from sentinel.cli.output import EXIT_FAILED, console, exit_codes, print_json

if TYPE_CHECKING:
    from operators.detect_cases import TriedDetection
    from remediation.policy_cases import Tried


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("test")(try_files)


@exit_codes
def try_files(
    files: Annotated[list[Path], typer.Argument(help="Files of cases (YAML).", exists=True, dir_okay=False)],
    as_json: Json = False,
) -> None:
    """Try policy and rules on the cases of these files, each at its own time; exit 1 with the difference if one fails.

    Touches no database and no target. Examples are config/tests/demo.yaml and config/tests/detection.yaml.
    """
    from sentinel.cli.trial_files import try_file

    tried = {str(file): list(try_file(file)) for file in files}
    failed = sum(bool(one.differences) for results in tried.values() for one in results)
    if as_json:
        print_json(tried)
    else:
        for name, results in tried.items():
            for one in results:
                _print_case(name, one)
        console.print(f"{sum(map(len, tried.values()))} cases, {failed} failed", highlight=False)
    if failed:
        raise typer.Exit(EXIT_FAILED)


def _print_case(file: str, one: Tried | TriedDetection) -> None:
    console.print(f"{'FAILED' if one.differences else 'ok    '} {file}: {one.name}", markup=False, highlight=False)
    for difference in one.differences:
        console.print(f"         {difference}", markup=False, highlight=False)
