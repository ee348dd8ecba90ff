"""One breaker for each provider: after failures in a row it is left alone for a while, then one call may try. Pure."""

from __future__ import annotations

import threading

from remediation.planners.llm_settings import LlmBreakerSettings


class Breaker:
    """Closed, open, or half-open with one trial under way. Times are seconds of one monotonic clock. Thread-safe."""

    def __init__(self, settings: LlmBreakerSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._failures = 0
        self._closed_from: float | None = None

    def admits(self, now: float) -> bool:
        """Whether a call may be made; the first one after the cool-down is the only one until it has ended."""
        with self._lock:
            if self._closed_from is None:
                return True
            if now < self._closed_from:
                return False
            # The trial holds the others off for another cool-down, also when it never reports back.
            self._closed_from = now + self._settings.cooldown
            return True

    def succeeded(self) -> None:
        """The call was answered well."""
        with self._lock:
            self._failures, self._closed_from = 0, None

    def failed(self, now: float) -> None:
        """The call failed."""
        with self._lock:
            self._failures += 1
            if self._failures >= self._settings.failures:
                self._closed_from = now + self._settings.cooldown
