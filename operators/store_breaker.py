"""Ask a store that may be away: after a failure it is left alone for a while, so that no one waits for it twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sentinel.errors import SentinelError, TransientError
from sentinel.logs import get_logger

T = TypeVar("T")


class StoreBreaker:
    """Guards the calls to one store. Lives as long as the process, and is not part of any recovery state."""

    def __init__(self, name: str, open_seconds: float, now: Callable[[], float]) -> None:
        """Guard the store called `name`; after a failure refuse for `open_seconds` of the clock `now`."""
        self.name = name
        self._open_seconds = open_seconds
        self._now = now
        self._closed_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are refused at the moment."""
        return self._now() < self._closed_at

    def call(self, ask: Callable[[], T]) -> T:
        """Return what `ask` returns. Raises `TransientError` at once while open, and whatever `ask` raises.

        A `PermanentError` opens it as well: a store whose schema is broken is not asked on every message either.
        """
        if self.is_open:
            rest = self._closed_at - self._now()
            raise TransientError(f"{self.name} did not answer lately; it is asked again in {rest:.0f} s")
        try:
            return ask()
        except SentinelError as error:
            self._closed_at = self._now() + self._open_seconds
            get_logger(__name__).warning("store_away", store=self.name, error=str(error), retry_in=self._open_seconds)
            raise
