from __future__ import annotations

import threading

from sentinel.health import HealthChecker, HealthState, Probe


def broken() -> None:
    raise OSError("no route")


def test_the_worst_part_gives_the_state():
    fine, away = Probe("a", lambda: "v1"), Probe("b", broken)
    assert HealthChecker([]).report().state is HealthState.OK
    assert HealthChecker([fine]).report().components[0].detail == "v1"
    assert HealthChecker([fine, Probe("b", broken, required=False)]).report().state is HealthState.DEGRADED
    report = HealthChecker([fine, away]).report()
    assert report.state is HealthState.DOWN
    assert [(part.name, part.state, part.detail) for part in report.components] == [
        ("a", HealthState.OK, "v1"),
        ("b", HealthState.DOWN, "no route"),
    ]


def test_a_probe_that_hangs_keeps_one_thread_and_comes_back():
    calls, go = [], threading.Event()

    def hang() -> None:
        calls.append(1)
        go.wait(30)

    checker = HealthChecker([Probe("a", hang), Probe("b", lambda: None)], timeout=0.05)
    first, second = checker.report(), checker.report()
    assert [part.state for part in first.components] == [HealthState.DOWN, HealthState.OK]
    assert second.components[0].detail == "no answer within 0.05 s"
    assert len(calls) == 1
    go.set()
    while checker.report().state is not HealthState.OK:
        pass
    assert len(calls) >= 1
