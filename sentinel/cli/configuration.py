"""`sentinel check` and `sentinel schema`: what a configuration will do, and how editors complete it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentinel.cli.hiding import without_secrets
from sentinel.cli.options import Json
from sentinel.cli.output import errors, exit_codes, print_json, print_table, say

if TYPE_CHECKING:
    from sentinel.cli.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("check")(check)
    app.command("schema")(schema)


@exit_codes
def check(
    file: Annotated[Path, typer.Argument(help="The configuration file.", exists=True, dir_okay=False)],
    source: Annotated[
        Path | None,
        typer.Option(
            "--input", help="Recorded series (CSV file or folder): rules that none of them has are named.", exists=True
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a configuration file and show what it will do; mistakes are printed as `file:line` and exit with 2.

    What is valid and yet surely not meant is a warning: a rule that an earlier one leaves nothing to watch.
    """
    from remediation.notifiers.webhook_template import load_template
    from remediation.runbooks import load_runbooks
    from sentinel.cli.settings import load_settings

    settings = load_settings(file)
    runbooks = load_runbooks(Path(settings.remediation.runbooks))
    for webhook in settings.notifications.webhooks.values():
        if webhook.template:
            load_template(Path(webhook.template), os.environ)
    if as_json:
        print_json(without_secrets(settings.model_dump(mode="json", by_alias=True)))
        return
    say(f"{file}: valid\n")
    print_table("What runs where", ("part", "setting"), _places(settings))
    print_table("Rules, first match wins", ("rule", "watches", "window", "alerts when", "kind"), _rules(settings))
    print_table("What may happen", ("policy", "value"), _policy(settings))
    names = [(r.name, r.title) for r in runbooks]
    print_table("Runbooks", ("name", "does"), names)
    for warning in _warnings(settings, source):
        errors.print(f"warning: {warning}", markup=False, highlight=False, soft_wrap=True)


def _warnings(settings: Settings, source: Path | None) -> Iterator[str]:
    from operators.rule_checks import unreachable, watching_nothing
    from sentinel.cli.tuning.recordings import read_recordings

    rules = settings.detection.rules
    never = unreachable(rules)
    for name, earlier in never.items():
        yield f"detection.rules.{name} can never have a series: {earlier}, which stands before it, takes all of them"
    if source is None:
        return
    known = [series for series, _, _ in read_recordings(source, None).series]
    for name, taken in watching_nothing(rules, known).items():
        why = (
            f"{len(taken)} that it matches have an earlier rule, such as {taken[0][1]}" if taken else "it matches none"
        )
        if name not in never:
            yield f"detection.rules.{name} has none of the {len(known)} recorded series: {why}"


@exit_codes
def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors."""
    from sentinel.cli.settings import Settings

    typer.echo(json.dumps(Settings.model_json_schema(by_alias=True), indent=2, sort_keys=True))


def _places(settings: Settings) -> list[tuple[str, object]]:
    kafka, stores = settings.kafka, settings.stores
    return [
        ("broker", kafka.bootstrap),
        ("telemetry partitions", kafka.telemetry_partitions),
        ("state", settings.state),
        ("series history", without_secrets(stores.history)),
        ("incident memory", f"{without_secrets(stores.memory)} ({stores.embedder})"),
        ("database", without_secrets(stores.database)),
        ("API", f"{settings.api.host}:{settings.api.port}, {len(settings.api.keys)} keys"),
        ("services in the catalogue", len(settings.services.services)),
    ]


def _rules(settings: Settings) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for name, rule in (*settings.detection.rules.items(), *settings.detection.vectors.items()):
        labels = "".join(f" {key}={pattern}" for key, pattern in rule.match.labels.items())
        unless = f" unless {', '.join(rule.unless)}" if rule.unless else ""
        when = f"{rule.for_} windows of {' or '.join(rule.detectors)} {rule.direction}{unless}"
        shadow = " (shadow)" if rule.shadow else ""
        rows.append(
            (name, f"{', '.join(rule.match.names)}{labels}", f"{rule.window:g} s", when, f"{rule.kind}{shadow}")
        )
    return rows


def _policy(settings: Settings) -> list[tuple[str, object]]:
    policy = settings.remediation.policy
    allowed = [f"{', '.join(r.actions)} on {r.backend} {r.namespace}/{r.name}" for r in policy.allow]
    automatic = [f"{r.action} (risk up to {r.max_risk}, {r.max_downtime:g} s)" for r in policy.automatic]
    return [
        ("mode", f"{policy.mode}{' (dry run)' if policy.dry_run else ''}"),
        ("allowed", "\n".join(allowed) or "nothing: every action is denied"),
        ("by itself", "\n".join(automatic) or "nothing"),
        ("executor", settings.remediation.executor.shown),
        ("a question expires after", f"{settings.remediation.approvals.expires_after:g} s"),
    ]
