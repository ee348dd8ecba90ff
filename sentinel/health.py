"""Health of a process's parts: probes with a time-out, and the state that they give together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic


class HealthState(StrEnum):
    """`degraded`: something optional is away, and the work goes on without it."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Probe:
    """One part to ask: `check` returns when it works (the text is shown) and raises when it does not.

    A part that is not `required` only degrades the process when it is away.
    """

    name: str
    check: Callable[[], str | None]
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentHealth:
    """What one probe said; `seconds` is how long it took."""

    name: str
    state: HealthState
    required: bool
    detail: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """The state of all parts: `down` when a required one is, else `degraded` when any is, else `ok`."""

    state: HealthState
    components: tuple[ComponentHealth, ...]


class HealthChecker:
    """Asks all probes at once and waits at most `timeout` seconds for them.

    A probe that hangs keeps its one thread (a daemon) and counts as down; it is not asked again until it answers.
    """

    def __init__(self, probes: Sequence[Probe], timeout: float = 2.0) -> None:
        self._probes = tuple(probes)
        self._timeout = timeout
        self._pending: dict[str, _Asked] = {}
        self._lock = threading.Lock()

    def report(self) -> HealthReport:
        """The state now; takes as long as the slowest probe, and never much longer than the time-out."""
        with self._lock:
            asked = [self._ask(probe) for probe in self._probes]
        deadline = monotonic() + self._timeout
        components = tuple(one.wait(deadline - monotonic(), self._timeout) for one in asked)
        states = {component.state for component in components}
        worst = next((state for state in (HealthState.DOWN, HealthState.DEGRADED) if state in states), HealthState.OK)
        return HealthReport(state=worst, components=components)

    def _ask(self, probe: Probe) -> _Asked:
        pending = self._pending.get(probe.name)
        if pending is None or pending.done.is_set():
            pending = self._pending[probe.name] = _Asked(probe)
        return pending


class _Asked:
    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.done = threading.Event()
        self._started = monotonic()
        self._ok, self._detail, self._seconds = False, "", 0.0
        threading.Thread(target=self._run, name=f"probe-{probe.name}", daemon=True).start()

    def _run(self) -> None:
        try:
            self._detail = self.probe.check() or ""
            self._ok = True
        except Exception as error:  # noqa: BLE001 whatever a probe raises means that its part is away; the text is shown
            self._detail = str(error) or type(error).__name__
        self._seconds = monotonic() - self._started
        self.done.set()

    def wait(self, seconds: float, timeout: float) -> ComponentHealth:
        away = HealthState.DOWN if self.probe.required else HealthState.DEGRADED
        if not self.done.wait(max(0.0, seconds)):
            waited = monotonic() - self._started
            return self._health(away, f"no answer within {timeout:g} s", waited)
        return self._health(HealthState.OK if self._ok else away, self._detail, self._seconds)

    def _health(self, state: HealthState, detail: str, seconds: float) -> ComponentHealth:
        return ComponentHealth(
            name=self.probe.name, state=state, required=self.probe.required, detail=detail, seconds=round(seconds, 6)
        )
