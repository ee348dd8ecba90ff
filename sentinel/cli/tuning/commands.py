"""`sentinel preview`, `sentinel backtest` and `sentinel diff`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentinel.cli.options import Json, settings_of
from sentinel.cli.output import EXIT_FAILED, EXIT_USAGE, at, errors, exit_codes, fail, print_json, print_table, say
from sentinel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operators.backtesting import Backtest, Difference, PastAlert
    from sentinel.cli.settings import Settings
    from sentinel.cli.tuning.recordings import Recordings
    from sentinel.cli.tuning.report import Findings

SHOWN = 20
"""Rows of a table of alerts or series before it says how many more there are."""

Input = Annotated[
    Path | None,
    typer.Option("--input", help="CSV file, or folder of CSV files. Default: the archive.", exists=True),
]
Days = Annotated[float, typer.Option(help="How many days of the archive, back from now.", min=0.01)]
Labels = Annotated[
    Path | None,
    typer.Option(
        help="JSON: file to [start, end] pairs of faults. Default: labels.json beside each file.", exists=True
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("preview")(preview)
    app.command("backtest")(run_backtest)
    app.command("diff")(diff)


@exit_codes
def preview(
    context: typer.Context,
    rule: Annotated[str, typer.Option(help="Name of the rule.")],
    source: Input = None,
    days: Days = 7.0,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the noisiest series of the rule: .png.", dir_okay=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Show which series a rule covers, and the alerts that it would have given; in shadow or not."""
    settings = settings_of(context)
    if rule not in settings.detection.rules:
        known = ", ".join(settings.detection.rules)
        raise ConfigError(f"there is no rule {rule!r} for series; there are {known}")
    findings = _findings("", settings, _recordings(settings, source, None, days))
    alerts = [alert for alert in findings.found.alerts if alert.rule == rule]
    if as_json:
        print_json({"covers": findings.found.covered(rule), "alerts": alerts})
        return
    _print_coverage(settings, findings, rule)
    _print_alerts(f"Alerts of rule {rule}", alerts)
    if plot:
        _draw(findings, rule, plot)


@exit_codes
def run_backtest(
    context: typer.Context,
    source: Input = None,
    labels: Labels = None,
    days: Days = 7.0,
    report: Annotated[Path | None, typer.Option(help="Write a page with plots: .html.", dir_okay=False)] = None,
    as_json: Json = False,
) -> None:
    """Run the rules over recorded series and say what they would have sent: by rule, by series, and against labels."""
    from sentinel.cli.tuning.report import rule_cells, write_report

    settings = settings_of(context)
    findings = _findings(_title(context), settings, _recordings(settings, source, labels, days))
    if as_json:
        overall = findings.quality_of()
        print_json({"alerts": findings.found.alerts, "rules": findings.found.covered(), "quality": overall})
    else:
        columns = ("rule", "series", "alerts", "per series and week", "held back", "precision", "recall")
        rows = [(name, *rule_cells(findings, name)) for name in settings.detection.rules]
        print_table(f"{at(findings.found.start)} to {at(findings.found.end)} UTC", columns, rows)
        _print_worst(findings)
    if report:
        write_report(findings, report)
        errors.print(f"written: {report}", markup=False, highlight=False, soft_wrap=True)


@exit_codes
def diff(
    context: typer.Context,
    before: Annotated[Path, typer.Argument(help="Configuration as it is.", exists=True, dir_okay=False)],
    after: Annotated[Path, typer.Argument(help="Configuration as it would be.", exists=True, dir_okay=False)],
    source: Input = None,
    days: Days = 7.0,
    max_gained: Annotated[int | None, typer.Option(help="Exit with 1 when more alerts are gained.", min=0)] = None,
    max_lost: Annotated[int | None, typer.Option(help="Exit with 1 when more alerts are lost.", min=0)] = None,
    as_json: Json = False,
) -> None:
    """Compare two configurations on one recording: which alerts the second gains and which it loses, by rule and series."""
    from operators.backtesting import compare
    from sentinel.cli.settings import load_settings

    first, second = load_settings(before), load_settings(after)
    recordings = _recordings(settings_of(context) if context.obj else first, source, None, days)
    old, new = (_findings("", settings, recordings).found for settings in (first, second))
    found = compare(old, new)
    if as_json:
        print_json(found)
    else:
        _print_difference(old, new, found)
    over = [
        f"{len(alerts)} alerts {word}, at most {limit} are allowed"
        for word, alerts, limit in (("gained", found.gained, max_gained), ("lost", found.lost, max_lost))
        if limit is not None and len(alerts) > limit
    ]
    if over:
        fail("; ".join(over), EXIT_FAILED)


def _recordings(settings: Settings, source: Path | None, labels: Path | None, days: float) -> Recordings:
    from sentinel.cli.tuning.recordings import read_archive, read_recordings

    if source is None:
        if labels is not None:
            fail("--labels needs --input: the archive has no labels", EXIT_USAGE)
        return read_archive(settings, days, time.time())
    return read_recordings(source, labels)


def _findings(title: str, settings: Settings, recordings: Recordings) -> Findings:
    from operators.backtesting import backtest
    from sentinel.cli.tuning.report import Findings

    return Findings(title, settings.detection, recordings, backtest(settings.detection, recordings.series))


def _title(context: typer.Context) -> str:
    from sentinel.cli.settings import find_file

    file = find_file(context.obj)
    return file.name if file else "the shipped rules"


def _print_coverage(settings: Settings, findings: Findings, rule: str) -> None:
    """The series that the rule has, and those that it matches but an earlier rule takes."""
    match = settings.detection.rules[rule].match
    taken = [
        (series.key, name)
        for series, name in findings.found.rules.items()
        if name not in ("", rule) and match.covers(series)
    ]
    covered = findings.found.covered(rule)
    counts = findings.found.per_series()
    rows = [(series.key, counts[series]) for series in sorted(covered, key=lambda one: (-counts[one], one.key))]
    title = f"Rule {rule} covers {len(rows)} of {len(findings.found.rules)} series"
    _print_some(title, ("series", "alerts"), rows, "series")
    if taken:
        _print_some("It also matches, but an earlier rule has", ("series", "rule"), taken, "series")


def _print_alerts(title: str, alerts: list[PastAlert]) -> None:
    rows = [
        (at(alert.fired_at), alert.series.key, alert.severity, alert.resolution or "still firing", alert.reason)
        for alert in alerts
    ]
    _print_some(f"{title}: {len(alerts)}", ("fired (UTC)", "series", "severity", "ended", "why"), rows, "alerts")


def _print_worst(findings: Findings) -> None:
    counts = findings.found.per_series()
    rows = [(one.key, findings.found.rules[one], counts[one]) for one in findings.worst(SHOWN)]
    if rows:
        print_table("Series that cost most", ("series", "rule", "alerts"), rows)
    overall = findings.quality_of()
    if overall:
        say(
            f"{overall.found} of {overall.faults} labelled faults found, {overall.true} of {overall.alerts} alerts inside one: "
            f"precision {overall.precision:.0%}, recall {overall.recall:.0%}"
        )


def _print_difference(old: Backtest, new: Backtest, found: Difference) -> None:
    rows = [("gained", alert) for alert in found.gained] + [("lost", alert) for alert in found.lost]
    shown = [(word, alert.rule, alert.series.key, at(alert.fired_at), alert.reason) for word, alert in rows]
    _print_some("Differences", ("alert", "rule", "series", "fired (UTC)", "why"), shown, "alerts")
    say(f"{len(old.alerts)} alerts before, {len(new.alerts)} after: {len(found.gained)} gained, {len(found.lost)} lost")


def _print_some(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], what: str) -> None:
    """The first rows as a table, and how many more there are; the title alone when there are none."""
    if not rows:
        say(title)
        return
    print_table(title, columns, rows[:SHOWN])
    if len(rows) > SHOWN:
        say(f"and {len(rows) - SHOWN} more {what}")


def _draw(findings: Findings, rule: str, path: Path) -> None:
    from sentinel.cli.tuning.report import draw

    counts = findings.found.per_series()
    covered = sorted(findings.found.covered(rule), key=lambda one: (-counts[one], one.key))
    if not covered:
        fail(f"rule {rule!r} covers no series; there is nothing to draw", EXIT_FAILED)
    path.write_bytes(draw(findings, covered[0]))
    errors.print(f"drawn: {path}", markup=False, highlight=False, soft_wrap=True)
