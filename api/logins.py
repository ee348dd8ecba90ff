"""Which caller came from where lately: a key that is used all day is told to the audit now and then, not with each request."""

from __future__ import annotations

import threading

MOST_CALLERS = 10_000
"""Pairs of caller and address that are remembered; beyond it all are forgotten, and told again."""


class LoginBook:
    """In memory, one per process; safe for several threads."""

    def __init__(self, seconds: float) -> None:
        """A caller is due again after `seconds` (wall time)."""
        self._seconds = seconds
        self._told: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def due(self, name: str, client: str, now: float) -> bool:
        """Whether this caller should be told to the audit now; True once, then not for a while."""
        with self._lock:
            last = self._told.get((name, client))
            if last is not None and now - last < self._seconds:
                return False
            if len(self._told) >= MOST_CALLERS:
                self._told.clear()
            self._told[(name, client)] = now
            return True

    def forget(self, name: str, client: str) -> None:
        """It could not be told: it is due again."""
        with self._lock:
            self._told.pop((name, client), None)
