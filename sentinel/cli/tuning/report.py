"""A backtest as one HTML file with its plots inside: something to look at rather than to read."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from operators.backtesting import Backtest, Quality, band_of, quality
from operators.rules import DetectionSettings
from sentinel.cli.output import at
from sentinel.cli.tuning.recordings import Recordings
from sentinel.plots import SeriesPlot, plot_series
from sentinel.series import Series, Window

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1c2733; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
.sub { color: #5b6b7b; margin-top: 0; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.2rem 0; }
.figure { border: 1px solid #d8e0e8; border-radius: 8px; padding: .7rem 1.1rem; min-width: 8rem; }
.figure b { display: block; font-size: 1.6rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; color: #5b6b7b; font-weight: 600; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #e7edf3; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
section img { width: 100%; } ul { margin-top: .3rem; } li { margin-bottom: .15rem; } code { background: #f2f5f8; padding: 0 .25rem; }
"""


@dataclass(frozen=True)
class Findings:
    """What a report shows: the configuration's name, the recordings, and what the rules said about them."""

    title: str
    settings: DetectionSettings
    recordings: Recordings
    found: Backtest

    def quality_of(self, rule: str = "") -> Quality | None:
        """Alerts against labels, of one rule or of all; None where nothing is labelled."""
        faults = {
            series: windows for series, windows in self.recordings.faults.items() if series in self.found.covered(rule)
        }
        if not faults:
            return None
        return quality((alert for alert in self.found.alerts if not rule or alert.rule == rule), faults)

    def worst(self, count: int) -> list[Series]:
        """The series that cost most: false alerts and missed faults where there are labels, else alerts."""
        counts = self.found.per_series()

        def cost(series: Series) -> tuple[float, str]:
            windows = self.recordings.faults.get(series)
            if windows is None:
                return -float(counts[series]), series.key
            own = quality((alert for alert in self.found.alerts if alert.series == series), {series: windows})
            return -float(own.alerts - own.true + own.faults - own.found) - counts[series] / 1e6, series.key

        return [series for series in sorted(counts, key=cost) if counts[series] or self.recordings.faults.get(series)][
            :count
        ]


def write_report(findings: Findings, path: Path, plots: int = 12) -> None:
    """Write the page; needs matplotlib for the plots (the extra `plots`). About half a second a plot."""
    path.write_text("\n".join(_page(findings, plots)), encoding="utf-8")


def _page(findings: Findings, plots: int) -> Iterator[str]:
    found = findings.found
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(findings.title)}</title><style>{_STYLE}</style>"
    yield f"<h1>Backtest: {escape(findings.title)}</h1>"
    yield f"<p class=sub>{len(found.rules)} series from {at(found.start)} to {at(found.end)} UTC</p>"
    yield from _figures(findings)
    yield "<h2>By rule</h2>"
    yield from _rules(findings)
    worst = findings.worst(plots)
    if worst:
        yield "<h2>The series that cost most</h2>"
    for series in worst:
        yield from _series(findings, series)
    yield "</html>"


def _figures(findings: Findings) -> Iterator[str]:
    found, overall = findings.found, findings.quality_of()
    covered = found.covered()
    shown = [
        ("alerts", f"{len(found.alerts)}"),
        ("per series and week", f"{len(found.alerts) / found.weeks(covered):.2f}"),
    ]
    shown.append(("series covered", f"{len(covered)} of {len(found.rules)}"))
    if overall:
        shown += [
            ("precision", f"{overall.precision:.0%}"),
            ("recall", f"{overall.recall:.0%}"),
            ("faults found", f"{overall.found} of {overall.faults}"),
        ]
    yield "<div class=figures>"
    yield from (f"<div class=figure><b>{escape(value)}</b>{escape(name)}</div>" for name, value in shown)
    yield "</div>"


def _rules(findings: Findings) -> Iterator[str]:
    yield "<table><tr><th>rule<th class=n>series<th class=n>alerts<th class=n>per series and week<th class=n>held back"
    yield "<th class=n>precision<th class=n>recall</tr>"
    for rule in findings.settings.rules:
        cells = rule_cells(findings, rule)
        yield f"<tr><td>{escape(rule)}" + "".join(f"<td class=n>{escape(cell)}" for cell in cells) + "</tr>"
    yield "</table>"


def rule_cells(findings: Findings, rule: str) -> list[str]:
    """One rule's figures: series, alerts, alerts per series and week, candidates held back, precision, recall."""
    found, own = findings.found, findings.quality_of(rule)
    covered = found.covered(rule)
    alerts = sum(alert.rule == rule for alert in found.alerts)
    rate = f"{alerts / found.weeks(covered):.2f}" if covered else ""
    held = sum(count for (name, _), count in found.held_back.items() if name == rule)
    quality_cells = [f"{own.precision:.0%}", f"{own.recall:.0%}"] if own else ["", ""]
    return [str(len(covered)), str(alerts), rate, str(held), *quality_cells]


def _series(findings: Findings, series: Series) -> Iterator[str]:
    alerts = [alert for alert in findings.found.alerts if alert.series == series]
    yield f"<section><h3><code>{escape(series.key)}</code> &middot; rule {escape(findings.found.rules[series])}, "
    yield f"{len(alerts)} alert{'' if len(alerts) == 1 else 's'}</h3>"
    picture = base64.b64encode(draw(findings, series)).decode()
    yield f'<img alt="{escape(series.key)}: values, usual band, alerts" src="data:image/png;base64,{picture}">'
    yield from _listed(f"{at(alert.fired_at)}: {alert.reason}" for alert in alerts[:5])
    if len(alerts) > 5:
        yield f"<p class=sub>and {len(alerts) - 5} more</p>"
    yield "</section>"


def _listed(lines: Iterable[str]) -> Iterator[str]:
    yield "<ul>"
    yield from (f"<li>{escape(line)}</li>" for line in lines)
    yield "</ul>"


def draw(findings: Findings, series: Series) -> bytes:
    """The series as its rule sees it, as a PNG: windows, usual band, alerts, labelled faults."""
    band = band_of(findings.settings, findings.recordings.of(series))
    if band is None:
        return b""
    end = findings.found.spans[series].end
    plot = SeriesPlot(
        title="",
        unit=series.name,
        times=band.starts.tolist(),
        values=band.values.tolist(),
        low=band.low.tolist(),
        high=band.high.tolist(),
        alerts=[alert.span(end) for alert in findings.found.alerts if alert.series == series],
        labelled=[Window(one.start, one.end) for one in findings.recordings.faults.get(series, ())],
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plot.png"
        plot_series(plot, path)
        return path.read_bytes()
