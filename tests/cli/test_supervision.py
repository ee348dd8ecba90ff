"""Components of one process: one that ends or fails stops all, and what went wrong is told."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from sentinel.cli.supervision import Component, run_together, stop_on_signals

LONG = 30.0


class Waiting:
    """A component that works until it is stopped, and remembers that it could clean up."""

    def __init__(self, name: str) -> None:
        self.component = Component(name, self.run)
        self.cleaned_up = False

    def run(self, stop: threading.Event) -> None:
        assert stop.wait(LONG), "nobody stopped this"
        self.cleaned_up = True


def ending(stop: threading.Event) -> None:
    """Ends at once, without a reason."""


def failing(stop: threading.Event) -> None:
    raise ValueError("the broker has eaten it")


@pytest.mark.parametrize(("run", "failures"), [(ending, []), (failing, ["bad: ValueError: the broker has eaten it"])])
def test_an_other_that_ends_stops_the_main_one_and_its_neighbours(run, failures) -> None:
    main, neighbour, stop = Waiting("main"), Waiting("neighbour"), threading.Event()
    assert run_together(main.component, [neighbour.component, Component("bad", run)], stop) == failures
    assert main.cleaned_up
    assert neighbour.cleaned_up
    assert stop.is_set()


@pytest.mark.parametrize(("run", "failures"), [(ending, []), (failing, ["bad: ValueError: the broker has eaten it"])])
def test_a_main_component_that_ends_stops_the_others(run, failures) -> None:
    others = [Waiting("one"), Waiting("two")]
    found = run_together(Component("bad", run), [other.component for other in others], threading.Event())
    assert found == failures
    assert all(other.cleaned_up for other in others)


def test_every_failure_is_told() -> None:
    found = run_together(Component("a", failing), [Component("b", failing)], threading.Event())
    assert sorted(line.split(":")[0] for line in found) == ["a", "b"]


def test_a_component_that_does_not_stop_in_time_is_told() -> None:
    release = threading.Event()

    def stubborn(stop: threading.Event) -> None:
        release.wait(LONG)

    stop = threading.Event()
    found = run_together(Component("main", ending), [Component("stubborn", stubborn)], stop, grace=0.05)
    release.set()
    assert found == ["stubborn: did not stop within 0.05 s"]


def test_stopped_as_asked_is_no_failure() -> None:
    main, other, stop = Waiting("main"), Waiting("other"), threading.Event()
    stop.set()
    assert run_together(main.component, [other.component], stop) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_and_the_old_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    main = Waiting("main")

    def send(stop: threading.Event) -> None:
        os.kill(os.getpid(), number)
        assert stop.wait(LONG)

    with stop_on_signals() as stop:
        assert run_together(main.component, [Component("sender", send)], stop) == []
    assert main.cleaned_up
    assert signal.getsignal(number) == before
