"""Event time that runs at a factor of the wall clock, and can be stopped, jumped and sped up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import StrEnum


class Phase(StrEnum):
    """Where the fleet is in its life."""

    HISTORY = "history"
    LIVE = "live"
    ENDED = "ended"


class SimClock:
    """The fleet's clock; safe to use from several threads.

    In the history phase it stands where the producer has put it (`jump`). In the live phase it runs at `factor` event
    seconds per second of `wall`, a monotonic clock. Ended, it stands still.
    """

    def __init__(self, start: float, factor: float, wall: Callable[[], float], phase: Phase = Phase.LIVE) -> None:
        self._lock = threading.Lock()
        self._wall = wall
        self._event_anchor = start
        self._wall_anchor = wall()
        self._factor = factor
        self._paused = False
        self._phase = phase

    @property
    def factor(self) -> float:
        """Event seconds per wall second while the clock runs."""
        return self._factor

    @property
    def paused(self) -> bool:
        """Whether the clock was stopped by `pause`."""
        return self._paused

    @property
    def phase(self) -> Phase:
        """The present phase."""
        return self._phase

    def now(self) -> float:
        """Event time, seconds since the epoch."""
        with self._lock:
            return self._now()

    def wall_until(self, event_time: float) -> float:
        """Wall seconds until `event_time`; 0 when it has passed, infinity while the clock stands."""
        with self._lock:
            left = event_time - self._now()
            if left <= 0:
                return 0.0
            return left / self._factor if self._running() else float("inf")

    def jump(self, event_time: float) -> None:
        """Put the clock to `event_time`."""
        with self._lock:
            self._anchor(event_time)

    def enter(self, phase: Phase) -> None:
        """Begin another phase at the present event time."""
        with self._lock:
            self._anchor(self._now())
            self._phase = phase

    def set_factor(self, factor: float) -> None:
        """Change the speed from now on; raises ValueError unless `factor` is above zero."""
        if not factor > 0:
            raise ValueError(f"the clock's factor must be above zero, not {factor}")
        with self._lock:
            self._anchor(self._now())
            self._factor = factor

    def pause(self, *, paused: bool = True) -> None:
        """Stop the clock, or let it run on."""
        with self._lock:
            self._anchor(self._now())
            self._paused = paused

    def _running(self) -> bool:
        return self._phase is Phase.LIVE and not self._paused

    def _now(self) -> float:
        if not self._running():
            return self._event_anchor
        return self._event_anchor + (self._wall() - self._wall_anchor) * self._factor

    def _anchor(self, event_time: float) -> None:
        self._event_anchor = event_time
        self._wall_anchor = self._wall()
