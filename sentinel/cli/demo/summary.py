"""The demo's last page: the counts, each incident's timeline, the expectations, the audit, and where to look next."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sentinel.audit_verdict import AuditVerdict
from sentinel.cli.bootstrap import sql_of
from sentinel.cli.demo.cards import picture_path
from sentinel.cli.demo.expectations import Expectations
from sentinel.cli.demo.programme import HistoryRate
from sentinel.cli.demo.stories import Story
from sentinel.cli.output import at, console, print_table
from sentinel.cli.settings import load_settings

_COUNTS = (
    ("events", "sentinel_events_decoded_total"),
    ("events rejected", "sentinel_events_rejected_total"),
    ("series", "sentinel_decode_known_series"),
    ("windows", "sentinel_windows_closed_total"),
    ("findings (candidates)", "sentinel_findings_total"),
    ("alerts", "sentinel_alerts_fired_total"),
    ("incidents", "sentinel_incidents_opened_total"),
    ("pages saved", "sentinel_pages_saved_total"),
)


@dataclass
class Telling:
    """What the summary tells, collected while the demo runs."""

    stories: list[Story] = field(default_factory=list)
    counters: dict[str, float] = field(default_factory=dict)
    history: HistoryRate | None = None


def check_audit(config: Path) -> AuditVerdict:
    """Verify what the demo left, offline, with the same code as `sentinel audit verify`."""
    with sql_of(load_settings(config)) as stores:
        return stores.audit.verify()


def print_summary(telling: Telling, expectations: Expectations, state: Path, seconds: float) -> None:
    """Print everything; the audit is verified here and is itself an expectation."""
    config = state / "sentinel.yaml"
    verdict = check_audit(config)
    expectations.expect("the end", "the audit chain holds", verdict.ok, verdict.reason or f"{verdict.records} records")
    console.print()
    for story in telling.stories:
        _print_story(story)
    _print_counts(telling)
    rows = [("ok" if c.held else "FAILED", c.scene, c.name, "" if c.held else c.seen) for c in expectations.checks]
    print_table("Expectations", ("", "scene", "expectation", "seen instead"), rows)
    expectations.expect(
        "the end",
        "its heads are signed and kept outside",
        verdict.heads > 0,
        f"{verdict.heads} heads, {verdict.reason}",
    )
    heads = f"{verdict.records} records, head {verdict.head_hash[:16]}, {verdict.heads} signed heads outside"
    console.print(f"Audit: {'the chain holds' if verdict.ok else 'THE CHAIN DOES NOT HOLD'} ({heads}).")
    failed = len(expectations.failed)
    console.print(
        f"[bold]{len(expectations.checks) - failed} expectations held, {failed} failed[/], in {seconds:.0f} s.\n",
        highlight=False,
    )
    _print_next(telling, config)
    _print_pictures(state)


def _print_pictures(state: Path) -> None:
    """Where the pictures of the Slack card are; drawn here, from what was sent."""
    found = [path for name in ("asked", "verified") if (path := picture_path(state, name)).exists()]
    if found:
        console.print("The Slack card, drawn here from the blocks that were sent (not a picture of Slack):")
        for path in found:
            console.print(f"  {path}", highlight=False, soft_wrap=True)


def _print_counts(telling: Telling) -> None:
    rows: list[tuple[str, str]] = []
    for label, name in _COUNTS:
        rows.append((label, f"{telling.counters.get(name, 0):,.0f}"))
        if label == "events" and telling.history:
            rate = telling.history
            rows.append(("events/s (history)", f"{rate.events / max(rate.seconds, 1e-9):,.0f}"))
    print_table("What went through", ("what", "count"), rows)


def _print_story(story: Story) -> None:
    rows = []
    for moment in story.moments():
        event = at(moment.event_at)[11:] if moment.event_at else ""
        since = _since(moment.event_at, story.fault_at, "+{:.0f} min", 60.0)
        wall = _since(moment.wall_at, story.fault_wall, "+{:.2f} s", 1.0)
        rows.append((moment.what, event, since, wall, moment.text))
    columns = ("step", "event time", "since the fault", "wall", "what happened")
    print_table(f"{story.title}: {story.incident_id or 'no incident'}", columns, rows)


def _since(moment: float | None, start: float, form: str, unit: float) -> str:
    return "" if moment is None else form.format((moment - start) / unit)


def _print_next(telling: Telling, config: Path) -> None:
    usual = config == Path(".sentinel/demo/sentinel.yaml")
    command = "sentinel" if usual else f"sentinel --config {config}"
    shown = next((story.incident_id for story in telling.stories if story.incident_id), "ID")
    console.print("Where to look next (what the demo left behind):", highlight=False)
    for line in (
        "incidents list",
        f"incidents show {shown}",
        "explain web requests_per_second --at 2026-11-16T09:10:00Z",
        "audit list",
        "audit verify",
    ):
        console.print(f"  {command} {line}", highlight=False)
