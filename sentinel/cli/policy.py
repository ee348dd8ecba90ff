"""`sentinel policy explain`: why policy decided as it did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from sentinel.cli.options import Json, settings_of
from sentinel.cli.output import EXIT_FAILED, at, exit_codes, fail, print_json, print_table
from sentinel.runs import TimelineRow

app = typer.Typer(help="Policy: why it allowed, asked or denied.", no_args_is_help=True)


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
