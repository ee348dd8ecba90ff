"""What the demo shows, in order: two weeks of history at full speed, then six scenes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sentinel.cli.demo import scenes
from sentinel.cli.demo.world import World

_HISTORY_PATIENCE = 180.0
_FIRST_DELAY = 300.0


@dataclass(frozen=True, slots=True)
class HistoryRate:
    """How fast the history went through: events, and wall seconds from the first to the last one decoded."""

    events: int
    seconds: float


def pass_history(world: World, say: Callable[[str], None]) -> HistoryRate:
    """Wait until the whole history has gone through detection, then let the fleet's clock run."""
    say("two weeks of history go through the telemetry topic")
    began = 0.0

    def look() -> HistoryRate | None:
        nonlocal began
        decoded = int(world.counters().get("sentinel_events_decoded_total", 0))
        if decoded and not began:
            began = time.monotonic()
        clock = world.fleet.clock()
        through = clock["phase"] != "history" and decoded >= clock["events"]
        return HistoryRate(decoded, time.monotonic() - began) if through else None

    rate = world.until("the history to go through", look, _HISTORY_PATIENCE)
    say(f"  {rate.events:,} events in {rate.seconds:.1f} s: {rate.events / max(rate.seconds, 1e-9):,.0f} events/s")
    world.fleet.set_clock(paused=False)
    return rate


def play(stage: scenes.Stage, live_start: datetime, *, unanswered: bool) -> None:
    """Play every scene. `unanswered` is off when a person answers, who should not have to wait for an expiry."""
    surge = live_start.replace(hour=9, minute=0, second=0, microsecond=0)
    stage.pass_until(live_start.timestamp() + _FIRST_DELAY)
    first = scenes.bad_deploy(stage, "a. a bad deploy", "checkout")
    scenes.close_breakers(stage, "b. a memory leak", "recommendations", "search")
    scenes.memory_leak(stage, "b. a memory leak", "recommendations")
    stage.hurry_until((surge - timedelta(minutes=5)).timestamp())
    ends = (surge + timedelta(minutes=60)).timestamp()
    scenes.monday_surge(stage, "c. the Monday surge", surge.timestamp(), ends)
    scenes.bad_deploy(stage, "d. the bad deploy again", "checkout", before=first)
    scenes.wrong_first_fix(stage, "e. a first fix that does not help", "search")
    if unanswered:
        scenes.nobody_answers(stage, "f. nobody answers", "users")
