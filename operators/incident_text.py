"""How an incident is called: its kind, title, severity, and the text by which memory compares it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from sentinel.alerts import FaultKind, Severity
from sentinel.catalogue import ServiceCatalogue
from sentinel.incidents import IncidentAlert

_TELLING = (
    FaultKind.AVAILABILITY,
    FaultKind.ERRORS,
    FaultKind.SATURATION,
    FaultKind.DATA,
    FaultKind.LATENCY,
    FaultKind.TRAFFIC,
)
"""Kinds that begin together: the first one says most about the fault, the later ones follow from it."""


def kind_of(alerts: Sequence[IncidentAlert], service: str) -> FaultKind:
    """The kind of fault of an incident whose first suspect is `service`: how its trouble there began.

    Kinds whose onset is within two windows of the first one began together, and the most telling of them counts.
    A suspect without alerts (a quiet service that changed) has the kind that its callers show.
    """
    own = [alert for alert in alerts if alert.series.service == service] or list(alerts)
    first = min(own, key=lambda alert: alert.onset_at)
    together = {a.kind for a in own if a.onset_at <= first.onset_at + 2 * first.window_seconds}
    return min(together, key=_TELLING.index)


def title_of(kind: FaultKind, first: str, services: Sequence[str], catalogue: ServiceCatalogue) -> str:
    """One line for people: `errors in checkout (and 3 callers)`."""
    others = [service for service in services if service != first]
    title = f"{kind.value} in {first}"
    if not others:
        return title
    above = catalogue.upstream_of([first])
    noun = "caller" if all(service in above for service in others) else "other service"
    return f"{title} (and {len(others)} {noun}{'s' if len(others) > 1 else ''})"


def severity_of(alerts: Sequence[IncidentAlert], catalogue: ServiceCatalogue) -> Severity:
    """The worst severity of the alerts, each seen through its service's tier: 0 raises it by one, 3 and 4 lower it.

    Resolved alerts count: an incident does not become less severe because it heals.
    """
    return max((_tiered(alert, catalogue) for alert in alerts), key=lambda severity: severity.rank)


def _tiered(alert: IncidentAlert, catalogue: ServiceCatalogue) -> Severity:
    entry = catalogue.services.get(alert.series.service)
    tier = entry.tier if entry else 2
    ordered = list(Severity)
    step = 1 if tier == 0 else -1 if tier >= 3 else 0
    return ordered[min(len(ordered) - 1, max(0, alert.severity.rank + step))]


def memory_text(kind: FaultKind, first: str, alerts: Sequence[IncidentAlert]) -> str:
    """What memory embeds: kind, first suspect and the metrics that show this kind.

    No values, times or versions, which never come back; no metrics of other kinds, which join later or not at all, so
    that the first alert of a recurrence already reads like the whole incident before it.
    """
    telling = [alert for alert in alerts if alert.series.service == first and alert.kind is kind]
    metrics = ", ".join(sorted({alert.series.name.replace("_", " ") for alert in telling}))
    return f"{kind.value} in {first}: {metrics}" if metrics else f"{kind.value} in {first}"
