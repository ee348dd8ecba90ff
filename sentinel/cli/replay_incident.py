"""`sentinel replay-incident`: the recorded inputs of an incident through today's code, and whether it decides the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentinel.cli.options import Json, settings_of
from sentinel.cli.output import EXIT_FAILED, exit_codes, fail, print_json, print_table, say

if TYPE_CHECKING:
    from remediation.replaying import RunReplay
    from sentinel.cli.incident_grouping import GroupingReplay
    from sentinel.stores.sql.stores import SqlStores


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay-incident")(replay_incident)


@exit_codes
def replay_incident(
    context: typer.Context,
    incident_id: Annotated[str, typer.Argument(help="Id of the incident, from `sentinel incidents list`.")],
    current: Annotated[
        bool, typer.Option("--current", help="Under today's configuration: what would be decided differently.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run an incident's recorded inputs again: grouping, analysis, plan, policy, answers, verification. Touches nothing.

    The planner's answers, live states and people's decisions come from the record. Exit 0 when every step comes out the
    same and the decision hash is the one in the audit, 1 with the first difference when not.
    """
    from remediation.replaying import replay_run
    from remediation.steps import Ground
    from sentinel.cli.bootstrap import sql_of
    from sentinel.cli.incident_grouping import replay_grouping

    settings = settings_of(context)
    ground = Ground(settings.remediation, settings.services) if current else None
    with sql_of(settings) as stores:
        incident = stores.incidents.get(incident_id)
        if incident is None:
            fail(f"there is no incident {incident_id!r}; see `sentinel incidents list`", EXIT_FAILED)
        grouping = replay_grouping(incident, stores, settings.incidents, settings.services)
        audited = dict(_audited(stores, incident_id))
        records = stores.steps.find(incident_id=incident_id)
        runs = [
            replay_run(stores.steps, [one for one in records if one.run_id == run_id], audited.get(run_id, ""), ground)
            for run_id in dict.fromkeys(one.run_id for one in records)
        ]
    if as_json:
        print_json({"grouping": grouping, "runs": runs})
    else:
        _print(incident_id, grouping, runs)
    if grouping.difference or any(run.difference for run in runs):
        raise typer.Exit(EXIT_FAILED)


def _audited(stores: SqlStores, incident_id: str) -> Iterator[tuple[str, str]]:
    """Run and decision hash of every attempt that was recorded; the last one of a run covers all of it."""
    from sentinel.stores.sql.audit import AuditFilter

    for record in stores.audit.records(AuditFilter(action="recorded", target=incident_id)):
        yield record.details.get("run_id", ""), record.details.get("decision_hash", "")


def _print(incident_id: str, grouping: GroupingReplay, runs: list[RunReplay]) -> None:
    rows: list[tuple[Any, ...]] = [
        ("grouping", grouping.alerts, "same" if not grouping.difference else "DIFFERENT", "")
    ]
    for run in runs:
        outcome = f"{run.same} of {run.steps} steps the same"
        rows.append((run.run_id, run.steps, outcome, run.replayed_hash[:16]))
    print_table(f"Replay of {incident_id}", ("what", "inputs", "came out", "decision hash"), rows)
    if grouping.difference:
        say(f"First difference: grouping: {grouping.difference}")
    for run in runs:
        if found := run.difference:
            say(
                f"First difference: {run.run_id}, step {found.number} ({found.step}, attempt {found.attempt}): {found.reason}"
            )
            continue
        same = "the same as recorded" if run.recorded_hash == run.replayed_hash else "NOT the recorded one"
        say(f"{run.run_id}: decision hash {run.replayed_hash[:16]}, {same}.")
    if not runs:
        say("No run has recorded a step for it.")
