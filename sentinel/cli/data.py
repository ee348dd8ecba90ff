"""`sentinel produce` and `sentinel replay`: telemetry into Kafka, from JSON lines or from recorded series."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sentinel.cli.options import Json, settings_of
from sentinel.cli.output import errors, exit_codes, print_json, say


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("produce")(produce)
    app.command("replay")(replay)


@exit_codes
def produce(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files with JSON lines (events, arrays or batches). Default: stdin.", exists=True, dir_okay=False
        ),
    ] = None,
) -> None:
    """Produce events from JSON lines to the telemetry topic, keyed by service; a bad line stops with `file:line`."""
    from sentinel.kafka import Publisher, ensure_topics
    from sentinel.producing import produce_lines
    from sentinel.topics import Topics

    settings = settings_of(context)
    ensure_topics(settings.kafka)
    topic = Topics(settings.kafka.topic_prefix).telemetry
    with Publisher(settings.kafka) as publisher:
        if not files:
            produced = [produce_lines(sys.stdin.buffer, "stdin", publisher, topic)]
        else:
            produced = []
            for file in files:
                with file.open("rb") as lines:
                    produced.append(produce_lines(lines, str(file), publisher, topic))
    events = sum(one.events for one in produced)
    say(f"{events} events in {sum(one.messages for one in produced)} messages to {topic}")


@exit_codes
def replay(
    context: typer.Context,
    files: Annotated[
        list[Path], typer.Argument(help="CSV files with columns timestamp and value.", exists=True, dir_okay=False)
    ],
    service: Annotated[
        str, typer.Option(help="Service of the series. Default: from labels.json, or the file's name.")
    ] = "",
    metric: Annotated[str, typer.Option(help="Metric name of the series. Default: from labels.json, or `value`.")] = "",
    plot: Annotated[
        Path | None, typer.Option(help="Also draw the (first) series with its alerts: .svg or .png.")
    ] = None,
    only_produce: Annotated[
        bool, typer.Option("--only-produce", help="Only produce to the configured broker, where Sentinel runs already.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Replay recorded series through Kafka and the real flows at full speed; prints the incidents that come out.

    Without --config it brings its own embedded broker, and one rule whose window is the step of the recording.
    A file `labels.json` beside the recording is only used to tell which incidents touch a labelled fault.
    """
    from sentinel.cli.replaying import Naming, print_replay, produce_recordings, replay_recordings

    naming = Naming(service, metric)
    if only_produce:
        produced = produce_recordings(settings_of(context).kafka, files, naming)
        say(f"{produced.events} events in {produced.messages} messages")
        return
    found = replay_recordings(files, naming, settings_of(context) if context.obj else None)
    if as_json:
        print_json(found.incidents)
    else:
        print_replay(found)
    if plot:
        found.draw(plot)
        errors.print(f"drawn: {plot}", markup=False, highlight=False, soft_wrap=True)
