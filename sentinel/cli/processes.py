"""Commands that run until they are told to stop: the whole in one process (`up`), or its parts one by one."""

from __future__ import annotations

import threading
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentinel.cli.options import settings_of
from sentinel.cli.output import EXIT_FAILED, exit_codes, fail, say
from sentinel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentinel.cli.settings import Settings
    from sentinel.cli.supervision import Component


class Flow(StrEnum):
    """What `sentinel run` can run."""

    DETECT = "detect"
    INCIDENTS = "incidents"
    PIPELINE = "pipeline"
    ARCHIVE = "archive"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (up, run, worker, api, broker, fleet):
        app.command(command.__name__)(command)


Group = Annotated[int, typer.Option(help="Partition group that this process owns (of flow.partition_groups).", min=0)]


@exit_codes
def up(context: typer.Context, group: Group = 0) -> None:
    """Run everything in this process: detection, incidents, archive, worker and API. Ends at SIGTERM or Ctrl-C."""
    from sentinel.cli import bootstrap, flows
    from sentinel.cli.supervision import Component

    settings = start_on_broker(context)
    with (
        bootstrap.sql_of(settings) as stores,
        bootstrap.history_of(settings) as history,
        bootstrap.memory_of(settings) as memory,
    ):
        run_components(
            Component("pipeline", partial(flows.run_pipeline, settings, history, memory, group)),
            [
                Component("archive", partial(bootstrap.run_archive, settings, history)),
                Component("worker", partial(bootstrap.run_worker, settings, stores, history=history)),
                Component("notary", partial(bootstrap.run_notary, settings, stores)),
                Component("api", partial(bootstrap.run_api, settings, stores, history)),
            ],
        )


@exit_codes
def run(
    context: typer.Context,
    flow: Annotated[Flow, typer.Argument(help="Which flow; `pipeline` is detect and incidents in one.")],
    group: Group = 0,
) -> None:
    """Run one flow as a process of its own. Ends at SIGTERM or Ctrl-C, after a last snapshot."""
    from sentinel.cli import bootstrap, flows
    from sentinel.cli.supervision import Component

    settings = start_on_broker(context)
    match flow:
        case Flow.DETECT:
            run_components(Component("detect", partial(flows.run_detect, settings, group)))
        case Flow.INCIDENTS:
            with bootstrap.history_of(settings) as history, bootstrap.memory_of(settings) as memory:
                run_components(Component("incidents", partial(flows.run_incidents, settings, history, memory)))
        case Flow.PIPELINE:
            with bootstrap.history_of(settings) as history, bootstrap.memory_of(settings) as memory:
                run_components(Component("pipeline", partial(flows.run_pipeline, settings, history, memory, group)))
        case Flow.ARCHIVE:
            with bootstrap.history_of(settings) as history:
                run_components(Component("archive", partial(bootstrap.run_archive, settings, history)))


@exit_codes
def worker(context: typer.Context) -> None:
    """Run the remediation worker: plans, asks, executes, verifies. Ends at SIGTERM or Ctrl-C."""
    from sentinel.cli import bootstrap
    from sentinel.cli.supervision import Component

    settings = start_on_broker(context)
    with bootstrap.sql_of(settings) as stores, bootstrap.past_of(settings) as past:
        run_components(
            Component("worker", partial(bootstrap.run_worker, settings, stores, history=past)),
            [Component("notary", partial(bootstrap.run_notary, settings, stores))],
        )


@exit_codes
def api(context: typer.Context) -> None:
    """Run the HTTP API: incidents, approvals, audit, health. Ends at SIGTERM or Ctrl-C."""
    from sentinel.cli import bootstrap
    from sentinel.cli.supervision import Component

    settings = _start(context)
    with bootstrap.sql_of(settings) as stores:
        if settings.stores.history.startswith("chdb:"):
            # An embedded path belongs to the process that runs the flows: the API serves the rest without it.
            run_components(Component("api", partial(bootstrap.run_api, settings, stores, None)))
            return
        with bootstrap.history_of(settings) as history:
            run_components(Component("api", partial(bootstrap.run_api, settings, stores, history)))


@exit_codes
def broker(
    context: typer.Context,
    port: Annotated[int | None, typer.Option(help="Port to listen on. Default: that of kafka.bootstrap.")] = None,
) -> None:
    """Run an embedded Kafka-compatible broker for trying out. It keeps its data in memory."""
    from sentinel.broker import IN_MEMORY, EmbeddedBroker
    from sentinel.cli.supervision import Component

    settings = _start(context)
    chosen = port if port is not None else _port_of(settings.kafka.bootstrap)
    say(f"{IN_MEMORY} Listening on 127.0.0.1:{chosen}.")
    run_components(Component("broker", EmbeddedBroker(chosen, settings.state / "broker.log").run))


@exit_codes
def fleet(context: typer.Context) -> None:
    """Run the simulated fleet: two weeks of history, then live telemetry, with an HTTP control for faults and actions."""
    from sentinel.cli.supervision import Component
    from sentinel.fleet.running import run_fleet

    settings = start_on_broker(context)

    def run_it(stop: threading.Event) -> None:
        run_fleet(settings.fleet, settings.kafka, settings.services, stop)

    run_components(Component("fleet", run_it))


def _start(context: typer.Context) -> Settings:
    from sentinel.cli.bootstrap import configure_logs

    settings = settings_of(context)
    Path(settings.state).mkdir(parents=True, exist_ok=True)
    configure_logs(settings)
    return settings


def start_on_broker(context: typer.Context) -> Settings:
    """Like `_start`, for what cannot begin without the broker: one clear error, instead of one from each component."""
    from sentinel.kafka import check_broker

    settings = _start(context)
    check_broker(settings.kafka)
    return settings


def run_components(main: Component, others: Sequence[Component] = ()) -> None:
    """Run them together until a signal or the end of one; exit 1 with what failed."""
    from sentinel.cli.supervision import run_together, stop_on_signals

    with stop_on_signals() as stop:
        failures = run_together(main, others, stop)
    if failures:
        fail("\n".join(failures), EXIT_FAILED)


def _port_of(bootstrap: str) -> int:
    _, _, port = bootstrap.split(",", maxsplit=1)[0].rpartition(":")
    if not port.isdigit():
        raise ConfigError(f"kafka.bootstrap: {bootstrap!r} is not host:port")
    return int(port)
