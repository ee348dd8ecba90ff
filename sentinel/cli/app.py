"""`sentinel`: the command line. Each command imports what it needs when it runs, so that `--help` is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import sentinel
from sentinel import logs
from sentinel.cli import (
    approvals,
    audit,
    aws,
    configuration,
    data,
    explain,
    incidents,
    keys,
    kubernetes,
    notifications,
    policy,
    processes,
    replay_incident,
    safety,
    score,
    scraping,
    trials,
)
from sentinel.cli.demo import command as demo
from sentinel.cli.tuning import commands as tuning

app = typer.Typer(
    name="sentinel",
    help="Telemetry in Kafka, a verified, approved and audited fix out.",
    epilog=(
        "Exit codes: 0 done; 1 the answer is no (a check failed); 2 bad arguments or configuration; "
        "3 a rule refused it; 4 a service that is needed does not answer."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sentinel {sentinel.__version__}")
        raise typer.Exit


@app.callback()
def main_options(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", help="Configuration file. Default: $SENTINEL_CONFIG, ./sentinel.yaml, the last demo's."
        ),
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Remember which configuration file was asked for; logs go to stderr, so that `--json` is alone on stdout."""
    logs.configure(level="warning", pretty=True)
    context.obj = config


for part in (
    demo,
    processes,
    scraping,
    data,
    configuration,
    explain,
    score,
    tuning,
    trials,
    aws,
    kubernetes,
    replay_incident,
):
    part.register(app)
app.add_typer(incidents.app, name="incidents")
app.add_typer(approvals.app, name="approvals")
app.add_typer(audit.app, name="audit")
app.add_typer(keys.app, name="keys")
app.add_typer(policy.app, name="policy")
app.add_typer(notifications.app, name="notifications")
app.add_typer(safety.kill_switch_app, name="kill-switch")
app.add_typer(safety.breakers_app, name="breakers")


def main() -> None:
    """Entry point of the `sentinel` command."""
    app()


if __name__ == "__main__":
    main()
