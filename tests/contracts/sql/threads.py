"""Many callers at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def at_once(callers: int, call: Callable[[int], T]) -> list[T]:
    """Call `call(0)` to `call(callers - 1)` from as many threads that start together; results in that order."""
    gate = threading.Barrier(callers)

    def wait_and_call(number: int) -> T:
        gate.wait(30)
        return call(number)

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(wait_and_call, range(callers)))
