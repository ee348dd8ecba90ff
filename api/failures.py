"""How many failed authentications are worth an audit record."""

from __future__ import annotations

import threading


class FailureBudget:
    """At most `per_minute` in each minute of wall time; one for the whole process, safe between threads."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._minute = -1
        self._used = 0
        self._lock = threading.Lock()

    def spend(self, now: float) -> bool:
        """True while this minute's budget lasts. `now` in seconds."""
        with self._lock:
            minute = int(now // 60)
            if minute != self._minute:
                self._minute, self._used = minute, 0
            self._used += 1
            return self._used <= self._per_minute
