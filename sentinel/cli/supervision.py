"""Run the components of one process together: the flow in the main thread, the others in threads, one stop for all."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sentinel.logs import get_logger

Run = Callable[[threading.Event], None]

log = get_logger(__name__)


@dataclass(frozen=True)
class Component:
    """A named part of a process: `run(stop)` works until `stop` is set, then cleans up and returns."""

    name: str
    run: Run


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; must be entered in the main thread. The old handlers come back at exit."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_together(main: Component, others: Sequence[Component], stop: threading.Event, grace: float = 20.0) -> list[str]:
    """Run `main` here and `others` in threads until `stop` is set or one of them ends.

    One component that ends, by itself or by an error, stops all: half a Sentinel must not look alive. Returns what went
    wrong, one line each; empty when everything stopped as asked. `grace` is how many seconds the threads get.
    """
    failures: list[str] = []

    def guard(component: Component) -> None:
        try:
            component.run(stop)
            if not stop.is_set():
                log.info("component ended", component=component.name)
        except Exception as error:  # the thread's last line of defence: reported, and everything stops
            log.exception("component failed", component=component.name)
            failures.append(f"{component.name}: {type(error).__name__}: {error}")
        finally:
            stop.set()

    threads = [threading.Thread(target=guard, args=(each,), name=each.name, daemon=True) for each in others]
    for thread in threads:
        thread.start()
    guard(main)
    for thread in threads:
        thread.join(grace)
        if thread.is_alive():
            failures.append(f"{thread.name}: did not stop within {grace:g} s")
    return failures
