"""`sentinel scrape`: telemetry from Prometheus endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sentinel.cli.output import EXIT_FAILED, exit_codes, fail, print_table
from sentinel.errors import ConfigError

if TYPE_CHECKING:
    import threading

    from sentinel.cli.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("scrape")(scrape)


@exit_codes
def scrape(
    context: typer.Context,
    try_once: Annotated[
        bool,
        typer.Option(
            "--try", help="Look twice at every target, a second apart, print what it gives, and produce nothing."
        ),
    ] = False,
) -> None:
    """Poll the Prometheus endpoints of `scrape.targets` and produce telemetry. Ends at SIGTERM or Ctrl-C."""
    from sentinel.cli.options import settings_of
    from sentinel.cli.processes import run_components, start_on_broker
    from sentinel.cli.supervision import Component

    settings = settings_of(context) if try_once else start_on_broker(context)
    if not settings.scrape.targets:
        raise ConfigError("scrape.targets names nothing to poll")
    if try_once:
        _try(settings)
        return

    def run_it(stop: threading.Event) -> None:
        from sentinel.kafka import Publisher, ensure_topics
        from sentinel.scraping import scraper
        from sentinel.topics import Topics

        ensure_topics(settings.kafka)
        with Publisher(settings.kafka) as publisher:
            scraper.scrape(settings.scrape, publisher, Topics(settings.kafka.topic_prefix).telemetry, stop)

    run_components(Component("scrape", run_it))


def _try(settings: Settings) -> None:
    from sentinel.scraping.scraper import look_twice

    looks = look_twice(settings.scrape)
    rows = []
    for look in looks:
        names = sorted({series.name for series, _, _ in look.events} - {"up"})
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        rows.append((look.target, "down" if look.problem else "up", str(len(look.events) - 1), look.problem or shown))
    print_table("Targets", ("target", "state", "series", "what"), rows)
    if down := [look.target for look in looks if look.problem]:
        fail(f"no page from {', '.join(down)}", EXIT_FAILED)
