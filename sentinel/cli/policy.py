"""`sentinel test` tries a policy on cases of a file; `sentinel policy explain` shows why it decided as it did."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentinel.cli.options import Json, settings_of
from sentinel.cli.output import EXIT_FAILED, at, console, exit_codes, fail, print_json, print_table
from sentinel.runs import TimelineRow

if TYPE_CHECKING:
    from remediation.policy_cases import Tried

app = typer.Typer(help="Policy: why it allowed, asked or denied.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("test")(try_files)


@exit_codes
def try_files(
    files: Annotated[list[Path], typer.Argument(help="Files of cases (YAML).", exists=True, dir_okay=False)],
    as_json: Json = False,
) -> None:
    """Try a policy on the cases of these files, each at its own time; exit 1 with the difference when one is not met.

    Touches no database and no target. An example is config/tests/demo.yaml.
    """
    tried = {str(file): _try_file(file) for file in files}
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


@app.command("explain")
@exit_codes
def explain(
    context: typer.Context,
    incident_id: Annotated[str, typer.Argument(help="Id of the incident, from `sentinel incidents list`.")],
    as_json: Json = False,
) -> None:
    """Show every decision of policy about an incident with all its reasons, and what stopped an execution."""
    from sentinel.cli.bootstrap import sql_of

    with sql_of(settings_of(context)) as stores:
        known = stores.incidents.get(incident_id) is not None
        rows = [row for row in stores.runs.timeline(incident_id) if row.kind in ("policy", "stopped")]
    if not known:
        fail(f"there is no incident {incident_id!r}; see `sentinel incidents list`", EXIT_FAILED)
    if as_json:
        print_json(rows)
        return
    columns = ("attempt", "decided (UTC)", "plan", "answer", "rule", "reason")
    print_table(f"Policy about {incident_id}", columns, [cells for row in rows for cells in _cells(row)])


def _cells(row: TimelineRow) -> Iterator[tuple[object, ...]]:
    """One line for each reason; the decision itself stands on the first."""
    if row.kind == "stopped":
        rule, _, reason = row.text.partition(": ")
        yield row.attempt, at(row.at), "", "stopped", rule, reason
        return
    plan, answer = ", ".join(row.details.get("actions", ())), row.details.get("answer", "")
    for index, line in enumerate(row.details.get("reasons", (row.text,))):
        rule, _, reason = str(line).partition(": ")
        head = ("", "", "", "") if index else (row.attempt, at(row.at), plan, answer)
        yield (*head, rule, reason)


def _try_file(file: Path) -> Sequence[Tried]:
    from remediation.policy_cases import CaseFile, try_case
    from sentinel.cli.settings import load_settings
    from sentinel.config_files import load_file
    from sentinel.errors import ConfigError, RefusedError

    cases = load_file(file, CaseFile, os.environ)
    policy, services = cases.policy, cases.services
    if cases.configuration:
        if policy or services:
            raise ConfigError(f"{file}:1: give `configuration`, or `policy` and `services`, not both")
        settings = load_settings(file.parent / cases.configuration)
        policy, services = settings.remediation.policy, settings.services
    if policy is None or services is None:
        raise ConfigError(f"{file}:1: give `configuration`, or `policy` and `services`")
    found = []
    for case in cases.cases:
        try:
            found.append(try_case(case, policy, services))
        except RefusedError as error:
            raise ConfigError(f"{file}: {case.name}: {error.reason}") from error
    return found


def _print_case(file: str, one: Tried) -> None:
    console.print(f"{'FAILED' if one.differences else 'ok    '} {file}: {one.name}", markup=False, highlight=False)
    for difference in one.differences:
        console.print(f"         {difference}", markup=False, highlight=False)
