"""`sentinel explain`: why something fired, or why it did not, recomputed from the archive by the same detection code."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from sentinel.cli.archived import Archive, open_archive
from sentinel.cli.options import Json, settings_of
from sentinel.cli.output import EXIT_FAILED, EXIT_USAGE, at, exit_codes, fail, print_json, say

if TYPE_CHECKING:
    from operators.explanations import Explanation
    from sentinel.cli.settings import Settings
    from sentinel.series import Series

_HISTORY = 15 * 86400.0
"""Seconds before the window that are read: two whole weeks for the hour of the week, and a day."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain")(explain)


@exit_codes
def explain(
    context: typer.Context,
    subject: Annotated[str, typer.Argument(help="A service (with METRIC and --at), or the id of an incident.")],
    metric: Annotated[str, typer.Argument(help="Metric name of the series.")] = "",
    when: Annotated[str, typer.Option("--at", help="Event time inside the window: RFC 3339, UTC without a zone.")] = "",
    as_json: Json = False,
) -> None:
    """Say why a series alerted in a window, or why not: what each detector saw, and what held it back.

    For an incident, every alert in it is explained at the moment it fired.
    """
    from operators.explanations import explain as recompute

    settings = settings_of(context)
    moment = None if subject.startswith("inc-") else _moment(metric, when)
    with open_archive(settings) as archive:
        asked = _of_incident(settings, subject) if moment is None else _series(archive, subject, metric, moment)
        found = []
        for series, then in asked:
            times, values = archive.read(series, then - _HISTORY, then + 86400.0)
            found.append(recompute(settings.detection, series, times, values, then))
    if as_json:
        print_json(found)
        return
    for explanation in found:
        _print(explanation)


def _print(explanation: Explanation) -> None:
    window = explanation.window
    span = f", window {at(window.start)} to {at(window.end)[11:]} UTC" if window else ""
    say(span, strong=explanation.series.key)
    for sentence in explanation.sentences:
        say(f"  {sentence}")


def _series(archive: Archive, service: str, metric: str, moment: float) -> list[tuple[Series, float]]:
    series = archive.find(service, metric)
    if not series:
        fail(f"the archive has no series {metric!r} of service {service!r}", EXIT_FAILED)
    return [(one, moment) for one in series]


def _of_incident(settings: Settings, incident_id: str) -> list[tuple[Series, float]]:
    from sentinel.cli.bootstrap import sql_of

    with sql_of(settings) as stores:
        incident = stores.incidents.get(incident_id)
    if incident is None:
        fail(f"there is no incident {incident_id!r}; see `sentinel incidents list`", EXIT_FAILED)
    return [(alert.series, alert.fired_at - alert.window_seconds / 2) for alert in incident.alerts]


def _moment(metric: str, when: str) -> float:
    if not metric or not when:
        fail("name the metric and the time: sentinel explain SERVICE METRIC --at 2026-11-16T09:10:00Z", EXIT_USAGE)
    try:
        moment = datetime.fromisoformat(when)
    except ValueError:
        fail(f"--at {when!r} is not an RFC 3339 time such as 2026-11-16T09:10:00Z", EXIT_USAGE)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
