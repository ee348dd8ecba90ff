"""The clock runs at its factor, stands when told to, and never jumps by itself."""

from __future__ import annotations

import pytest

from sentinel.fleet.clock import Phase, SimClock


def test_event_time_runs_at_the_factor_and_changes_of_it_do_not_jump() -> None:
    wall = [100.0]
    clock = SimClock(1000.0, 300, lambda: wall[0])
    wall[0] += 2
    assert clock.now() == 1600
    assert clock.wall_until(1900) == 1
    clock.set_factor(10)
    assert clock.now() == 1600
    wall[0] += 1
    assert clock.now() == 1610
    assert clock.wall_until(1600) == 0


def test_a_paused_clock_stands_and_runs_on_from_there() -> None:
    wall = [0.0]
    clock = SimClock(0.0, 2, lambda: wall[0])
    clock.pause()
    wall[0] += 50
    assert clock.now() == 0
    assert clock.wall_until(1) == float("inf")
    clock.pause(paused=False)
    wall[0] += 1
    assert clock.now() == 2


def test_the_history_is_driven_by_jumps_alone() -> None:
    wall = [0.0]
    clock = SimClock(0.0, 2, lambda: wall[0], Phase.HISTORY)
    wall[0] += 50
    assert clock.now() == 0
    clock.jump(600)
    clock.enter(Phase.LIVE)
    wall[0] += 1
    assert clock.now() == 602
    clock.enter(Phase.ENDED)
    wall[0] += 1
    assert clock.now() == 602


def test_a_factor_must_be_above_zero() -> None:
    with pytest.raises(ValueError, match="above zero"):
        SimClock(0.0, 1, lambda: 0.0).set_factor(0)
