"""`sentinel demo`: start everything, play the scenes, print what came of it; exit 0 only if every expectation held."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from sentinel.cli.output import EXIT_FAILED, exit_codes
from sentinel.cli.output import say as print_line

_MANUAL_EXPIRY = 900.0
"""Wall seconds that a person gets for an answer with `--manual`."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


@exit_codes
def demo(
    manual: Annotated[
        bool, typer.Option("--manual", help="Leave the approvals to you: prints the curl and the command, and waits.")
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(help="Folder for what the demo leaves behind; emptied first. Default: .sentinel/demo."),
    ] = None,
    kubernetes: Annotated[
        bool,
        typer.Option("--kubernetes", help="One broken Deployment on the cluster of the current kubeconfig instead."),
    ] = False,
    image: Annotated[
        str, typer.Option("--image", help="With --kubernetes: image of the service. Default: Python, with a program.")
    ] = "",
) -> None:
    """Show the whole loop on a simulated fleet and embedded parts; ends by itself in under two minutes."""
    from sentinel.cli.demo.answering import answer_by_demo, answer_by_user
    from sentinel.cli.demo.expectations import Expectations
    from sentinel.cli.demo.programme import pass_history, play
    from sentinel.cli.demo.scenes import Stage
    from sentinel.cli.demo.summary import Telling, print_summary
    from sentinel.cli.demo.world import open_world
    from sentinel.cli.settings import DEMO_STATE, load_settings
    from sentinel.errors import SentinelError

    began = time.monotonic()

    def say(text: str) -> None:
        print_line(f"  {text}", faint=f"{time.monotonic() - began:5.1f} s")

    folder = state or DEMO_STATE
    if kubernetes:
        _demo_on_cluster(folder, image, say)
        return
    expectations = Expectations()
    telling = Telling()
    overrides: dict[str, Any] = {}
    if manual:
        overrides = {"remediation": {"approvals": {"expires_after": _MANUAL_EXPIRY}}}
    with open_world(folder, overrides, say) as world:
        settings = load_settings(world.config)
        answer = answer_by_user(world, say) if manual else answer_by_demo(world, say)
        windows = settings.remediation.verification.normal_windows
        stage = Stage(world, expectations, say, answer, windows)
        telling.stories = stage.stories
        try:
            telling.history = pass_history(world, say)
            play(stage, settings.fleet.live_start, unanswered=not manual)
            telling.counters = world.counters()
        except SentinelError as error:
            expectations.expect("the demo", "every scene plays to its end", held=False, seen=error)
        say("stopping, with a last snapshot")
        codes = world.children.stop()
        expectations.expect("the end", "SIGTERM drains, exit codes 0", not any(codes.values()), codes)
    print_summary(telling, expectations, folder, time.monotonic() - began)
    if expectations.failed:
        raise typer.Exit(EXIT_FAILED)


def _demo_on_cluster(folder: Path, image: str, say: Callable[[str], None]) -> None:
    from sentinel.cli.demo.cluster import PYTHON_IMAGE
    from sentinel.cli.demo.on_kubernetes import play_on_cluster

    expectations = play_on_cluster(folder, image or PYTHON_IMAGE, say)
    for check in expectations.checks:
        seen = f" ({check.seen})" if check.seen and not check.held else ""
        print_line(f"  {'ok    ' if check.held else 'FAILED'} {check.name}{seen}")
    if expectations.failed:
        raise typer.Exit(EXIT_FAILED)
