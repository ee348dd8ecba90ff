"""`sentinel incidents`: what is open, what was done about it, and how it ended. Reads the SQL database directly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from sentinel.alerts import FaultKind
from sentinel.cli.options import Json, settings_of
from sentinel.cli.output import EXIT_FAILED, at, exit_codes, fail, print_json, print_table, say
from sentinel.incidents import Incident, IncidentStatus
from sentinel.model_use import models_used
from sentinel.outcomes import Outcome
from sentinel.runs import TimelineRow

app = typer.Typer(help="Incidents: what people count as one problem.", no_args_is_help=True)


@app.command("list")
@exit_codes
def list_incidents(
    context: typer.Context,
    status: Annotated[IncidentStatus | None, typer.Option(help="Only open or only resolved ones.")] = None,
    service: Annotated[str, typer.Option(help="Only incidents that touch this service.")] = "",
    kind: Annotated[FaultKind | None, typer.Option(help="Only this kind of fault.")] = None,
    limit: Annotated[int, typer.Option(help="At most this many, newest first.", min=1, max=1000)] = 50,
    as_json: Json = False,
) -> None:
    """List incidents, newest first."""
    from sentinel.cli.bootstrap import sql_of
    from sentinel.stores.sql.incidents import IncidentFilter

    with sql_of(settings_of(context)) as stores:
        wanted = IncidentFilter(status=status, service=service, kind=kind)
        found = stores.incidents.find(wanted, limit=limit).items
        outcomes = {incident.id: stores.outcomes.find(incident.id) for incident in found}
    if as_json:
        print_json(found)
        return
    columns = ("id", "opened (UTC)", "status", "severity", "title", "first suspect", "outcomes")
    print_table("Incidents", columns, [_row(incident, outcomes[incident.id]) for incident in found])


@app.command("show")
@exit_codes
def show_incident(
    context: typer.Context,
    incident_id: Annotated[str, typer.Argument(help="Id of the incident, from `sentinel incidents list`.")],
    as_json: Json = False,
) -> None:
    """Show one incident: alerts, suspects, context, and the timeline of what was done."""
    from sentinel.cli.bootstrap import sql_of

    with sql_of(settings_of(context)) as stores:
        incident = stores.incidents.get(incident_id)
        timeline = stores.runs.timeline(incident_id)
        outcomes = stores.outcomes.find(incident_id)
    if incident is None:
        fail(f"there is no incident {incident_id!r}; see `sentinel incidents list`", EXIT_FAILED)
    if as_json:
        models = models_used(timeline)
        print_json({"incident": incident, "timeline": timeline, "outcomes": outcomes, "models": models})
        return
    _print_incident(incident)
    _print_timeline(timeline)
    for use in models_used(timeline):
        tokens = f"{use.input_tokens} + {use.output_tokens} tokens, ${use.dollars:g}, {use.seconds:g} s"
        say(f"{use.provider}/{use.model} asked {use.asked} times to {use.step}, {use.failed} in vain: {tokens}")
    for outcome in outcomes:
        undone = ", undone" if outcome.undone else ""
        actions = ", ".join(outcome.actions) or "nothing"
        say(f"attempt {outcome.attempt}: {actions} -> {outcome.result}{undone}: {outcome.reason}")


def _row(incident: Incident, outcomes: Sequence[Outcome]) -> tuple[Any, ...]:
    suspect = incident.suspects[0].service if incident.suspects else ""
    ended = ", ".join(outcome.result.value for outcome in outcomes)
    return (
        incident.id, at(incident.opened_at), incident.status, incident.severity, incident.title, suspect, ended,
    )  # fmt: skip


def _print_incident(incident: Incident) -> None:
    ended = f", resolved {at(incident.resolved_at)}" if incident.resolved_at else ""
    say(f"  ({incident.id}, {incident.severity}, {incident.status})", strong=incident.title)
    say(f"opened {at(incident.opened_at)} UTC{ended}; trace {incident.trace_id}")
    if incident.recurrence_of:
        say(f"recurrence of {incident.recurrence_of}")
    columns = ("alert", "series", "onset", "fired", "state", "what was seen")
    rows = [
        (a.alert_id, a.series.key, at(a.onset_at), at(a.fired_at), _state(a.firing, a.resolution), a.text)
        for a in incident.alerts
    ]
    print_table("Alerts", columns, rows)
    suspects = [(s.service, f"{s.score:.2f}", "\n".join(s.reasons)) for s in incident.suspects]
    print_table("Suspects", ("service", "score", "because"), suspects)
    context = incident.context
    facts = [("history", fact.text) for fact in context.history]
    facts += [("change", f"{at(c.at)} {c.kind} of {c.service} {c.labels}") for c in context.changes]
    facts += [("before", f"{p.incident_id} ({p.similarity:.2f}): {p.text}") for p in context.similar]
    facts += [("missing", f"{name} did not answer") for name in context.missing]
    print_table("Context", ("from", "fact"), facts)


def _state(firing: bool, resolution: object) -> str:
    return "firing" if firing else f"resolved: {resolution}"


def _print_timeline(rows: Sequence[TimelineRow]) -> None:
    columns = ("wall time (UTC)", "event time (UTC)", "attempt", "step", "what happened")
    table = [(at(row.at), at(row.event_at), row.attempt, row.kind, row.text) for row in rows]
    print_table("Timeline", columns, table)
