"""Threads that send while the worker works, and end with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def in_background(
    work: Mapping[str, Callable[[threading.Event], None]], wakes: Iterable[Callable[[], None]]
) -> Iterator[None]:
    """Run each piece of work in a thread of its name meanwhile; at the end set its event, wake it, and wait for it."""
    stop = threading.Event()
    threads = [threading.Thread(target=run, args=(stop,), name=name) for name, run in work.items()]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for wake in wakes:
            wake()
        for thread in threads:
            thread.join()
