"""Does the incident get worse while Sentinel acts? Then the rest of the plan must not happen, and a person is needed.

What counts began after the first action took effect: an alert that only joins late was there before, and the action is not
to blame for it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from remediation.parts import Parts
from sentinel.alerts import AlertMessage, Severity
from sentinel.incidents import Incident, IncidentAlert, IncidentStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """How the incident stood when it was decided to act: the highest severity of its alerts, and their ids.

    Not the incident's own severity: that is weighed by the tier of the service, and so cannot be compared with an alert's.
    """

    severity: Severity
    alerts: tuple[str, ...]


def baseline_of(incident: Incident) -> Baseline:
    """The baseline of an incident as it is now."""
    return Baseline(severity=_highest(incident.alerts), alerts=tuple(alert.alert_id for alert in incident.alerts))


def worsened(
    incident: Incident,
    baseline: Baseline,
    fired: Sequence[AlertMessage],
    since: float,
    least: Severity = Severity.INFO,
) -> str:
    """Why the incident is worse than its baseline, or an empty string. Pure.

    `fired`: the alerts that began to fire on the services around; `since`: event time at which the first action took
    effect; `least`: new alerts below this severity do not count.
    """
    if incident.status is IncidentStatus.RESOLVED:
        return ""
    known = [alert for alert in incident.alerts if alert.alert_id in baseline.alerts]
    new = [alert for alert in incident.alerts if alert.alert_id not in baseline.alerts and alert.onset_at >= since]
    new = [alert for alert in new if alert.severity.rank >= least.rank]
    critical = sorted({alert.series.service for alert in new if alert.severity is Severity.CRITICAL})
    if critical:
        return f"new critical alert on {', '.join(critical)}"
    now = _highest((*known, *new))
    if now.rank > baseline.severity.rank:
        return f"severity rose from {baseline.severity} to {now}"
    begun = [m for m in fired if m.onset_at >= since and m.alert_id not in baseline.alerts]
    around = {m.service for m in begun if m.severity.rank >= least.rank}
    return f"{', '.join(sorted(around))} began to fire" if around else ""


def look(
    parts: Parts,
    incident_id: str,
    baseline: Baseline | None,
    since: float,
    around: Collection[str],
    least: Severity = Severity.INFO,
) -> str:
    """Why the incident is worse now, from what is projected so far, or an empty string.

    `around`: services on which a new alert counts as well; `least`: the lowest severity of a new alert that counts.
    """
    incident = parts.stores.incidents.get(incident_id)
    if incident is None or baseline is None or not since:
        return ""
    return worsened(incident, baseline, parts.stores.alerts.fired(around, since=since), since, least)


def _highest(alerts: Sequence[IncidentAlert]) -> Severity:
    return max((alert.severity for alert in alerts), key=lambda one: one.rank, default=Severity.INFO)
