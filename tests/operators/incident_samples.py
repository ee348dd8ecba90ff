"""Small builders for the tests of grouping, suspects and enrichment; times are seconds, windows one minute."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from operators.incident_group import Group, alert_of
from operators.incident_settings import IncidentSettings
from sentinel.alerts import AlertMessage, AlertState, FaultKind, Resolution, Severity, WindowVerdict
from sentinel.catalogue import ServiceCatalogue
from sentinel.decisions import Decision
from sentinel.errors import TransientError
from sentinel.incidents import Change, IncidentAlert, IncidentStatus, PastIncident
from sentinel.outcomes import Outcome, Result
from sentinel.series import Series, Window
from sentinel.stores.history.protocol import Points, SeriesData
from sentinel.stores.memory.protocol import MemoryEntry, MemoryQuery

METRIC = {
    FaultKind.ERRORS: "error_ratio",
    FaultKind.LATENCY: "latency_p95_seconds",
    FaultKind.SATURATION: "memory_ratio",
    FaultKind.TRAFFIC: "requests_per_second",
    FaultKind.AVAILABILITY: "up_ratio",
    FaultKind.DATA: "stale_ratio",
}


def shop(**calls: Sequence[str]) -> ServiceCatalogue:
    """A catalogue from `web=["checkout"]`; services that are only called are added."""
    names = {*calls, *(callee for callees in calls.values() for callee in callees)}
    return ServiceCatalogue.model_validate({"services": {n: {"calls": list(calls.get(n, []))} for n in sorted(names)}})


SHOP = shop(web=["checkout", "search"], checkout=["payments", "cart"], payments=["fraud"])


def message(
    service: str,
    *,
    onset: float = 60.0,
    end: float | None = None,
    state: AlertState = AlertState.FIRING,
    verdict: WindowVerdict = WindowVerdict.ABNORMAL,
    kind: FaultKind = FaultKind.ERRORS,
    severity: Severity = Severity.WARNING,
    score: float = 6.0,
    alert_id: str = "",
) -> AlertMessage:
    """One alert message; its id follows from service, kind and onset unless it is given."""
    fired_at = onset + 60.0
    end = fired_at if end is None else end
    alert_id = alert_id or f"alr-{service}-{kind.value}-{onset:g}"
    return AlertMessage(
        message_id=f"{alert_id}:{state.value}:{int(end)}",
        alert_id=alert_id,
        state=state,
        verdict=verdict,
        reason="2 of 3 windows",
        rule=f"{kind.value}-rule",
        kind=kind,
        severity=severity,
        series=Series.of(METRIC[kind], {"service": service}),
        window=Window(end - 60.0, end),
        value=0.4,
        score=score,
        threshold=3.0,
        findings=(),
        onset_at=onset,
        fired_at=fired_at,
        detected_at=1_000.0,
        trace_id="0" * 31 + "1",
        config_hash="cfg",
        resolution=Resolution.RECOVERED if state is AlertState.RESOLVED else None,
    )


def update(of: AlertMessage, end: float, verdict: WindowVerdict = WindowVerdict.ABNORMAL) -> AlertMessage:
    """A later window of the same alert."""
    return replace(
        of,
        message_id=f"{of.alert_id}:update:{int(end)}",
        state=AlertState.UPDATE,
        verdict=verdict,
        window=Window(end - 60.0, end),
    )


def resolved(of: AlertMessage, end: float) -> AlertMessage:
    """The end of the same alert."""
    return replace(
        of,
        message_id=f"{of.alert_id}:resolved:{int(end)}",
        state=AlertState.RESOLVED,
        verdict=WindowVerdict.NORMAL,
        resolution=Resolution.RECOVERED,
        window=Window(end - 60.0, end),
    )


def alerts(*messages: AlertMessage) -> tuple[IncidentAlert, ...]:
    """The alerts inside an incident that these firing messages make."""
    return tuple(alert_of(item) for item in messages)


def group(*messages: AlertMessage, steps: int = 1, status: IncidentStatus = IncidentStatus.OPEN) -> Group:
    """An incident's group with these alerts."""
    return Group(
        id="inc-1",
        fingerprint="fp-1",
        status=status,
        alerts=alerts(*messages),
        opened_at=messages[0].fired_at,
        updated_at=max(item.window.end for item in messages),
        resolved_at=messages[0].window.end if status is IncidentStatus.RESOLVED else None,
        detected_at=1_000.0,
        trace_id="0" * 31 + "1",
        steps=steps,
    )


def outcome(incident_id: str = "inc-1", *, attempt: int = 1, result: Result = Result.VERIFIED) -> Outcome:
    """How an attempt ended."""
    return Outcome(
        outcome_id=f"out-{incident_id}-{attempt}",
        incident_id=incident_id,
        fingerprint="fp-1",
        run_id="run-1",
        attempt=attempt,
        result=result,
        reason="3 normal windows",
        service="payments",
        kind=FaultKind.ERRORS,
        title="errors in payments",
        runbook="rollback",
        actions=("rollback payments",),
        undone=False,
        at=600.0,
        recorded_at=1_010.0,
        trace_id="0" * 31 + "1",
    )


class Clock:
    """Wall time that a test moves by hand."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


class StoreSwitch:
    """Whether a store answers, and how often it was asked."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0

    def ask(self) -> None:
        self.asked += 1
        if self.away:
            raise TransientError("connection refused")


class ListHistory:
    """A history of a few changes and points in lists."""

    def __init__(self, changes: Sequence[Change] = (), read: Callable[[float], float] | None = None) -> None:
        self.switch = StoreSwitch()
        self.known = list(changes)
        self._read = read

    def add_points(self, points: Points) -> None: ...

    def add_decisions(self, rows: Sequence[Decision]) -> None: ...

    def find_series(self, service: str = "", name: str = "") -> list[Series]:
        return []

    def read(self, series: Series, start: float, end: float, step: float = 0.0) -> SeriesData:
        self.switch.ask()
        times = np.arange(start, end, 60.0) if self._read else np.zeros(0)
        values = np.array([self._read(t) for t in times]) if self._read else np.zeros(0)
        return SeriesData(series, times, values)

    def changes(self, services: Sequence[str], start: float, end: float) -> list[Change]:
        self.switch.ask()
        return [change for change in self.known if change.service in services and start <= change.at < end]

    def decisions(
        self,
        *,
        subject: str = "",
        service: str = "",
        incident_id: str = "",
        stage: str = "",
        start: float = 0.0,
        end: float = 1e12,
        limit: int = 1000,
    ) -> list[Decision]:
        return []

    def check(self) -> None: ...

    def close(self) -> None: ...


class DictMemory:
    """An incident memory whose likeness is equality of service."""

    def __init__(self) -> None:
        self.switch = StoreSwitch()
        self.entries: dict[str, MemoryEntry] = {}

    def remember(self, entry: MemoryEntry) -> None:
        self.switch.ask()
        self.entries[entry.incident_id] = entry

    def set_outcome(self, incident_id: str, outcome: str, action: str) -> bool:
        self.switch.ask()
        if incident_id not in self.entries:
            return False
        self.entries[incident_id] = replace(self.entries[incident_id], outcome=outcome, action=action)
        return True

    def recall(self, query: MemoryQuery) -> list[PastIncident]:
        self.switch.ask()
        found = [
            PastIncident(
                incident_id=entry.incident_id,
                fingerprint=entry.fingerprint,
                similarity=1.0 if entry.service == query.services[0] else 0.8,
                title=entry.title,
                service=entry.service,
                kind=entry.kind,
                opened_at=entry.opened_at,
                outcome=entry.outcome,
                action=entry.action,
                text=entry.text,
            )
            for entry in self.entries.values()
            if entry.service in query.services
            and entry.kind is query.kind
            and entry.opened_at < query.before
            and entry.incident_id != query.exclude
        ]
        return sorted(found, key=lambda past: -past.similarity)[: query.limit]

    def count(self) -> int:
        return len(self.entries)

    def check(self) -> None: ...

    def close(self) -> None: ...


SETTINGS = IncidentSettings()
