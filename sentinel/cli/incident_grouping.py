"""The beginning of an incident's replay: the alerts of the record through grouping and ranking again."""

from __future__ import annotations

from dataclasses import dataclass

from operators.incident_groups import IncidentGroups
from operators.incident_settings import IncidentSettings
from operators.suspects import rank
from sentinel.alerts import AlertMessage, AlertState
from sentinel.catalogue import ServiceCatalogue
from sentinel.incidents import Incident
from sentinel.stores.sql.stores import SqlStores

_ORDER = {AlertState.UPDATE: 0, AlertState.RESOLVED: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingReplay:
    """How many alerts went in; `difference` is empty when the same incident and the same suspects came out."""

    alerts: int
    difference: str


def replay_grouping(
    incident: Incident, stores: SqlStores, settings: IncidentSettings, catalogue: ServiceCatalogue
) -> GroupingReplay:
    """Group the incident's alerts again, and rank its suspects from them and the changes that were known.

    The alerts of other incidents are left out: whether one of them would have absorbed these is not asked.
    """
    alerts = len(incident.alerts)
    if incident.config_hash != settings.hash:
        reason = f"it was grouped under the settings {incident.config_hash}, and the settings now are {settings.hash}"
        return GroupingReplay(alerts=alerts, difference=reason)
    messages = stores.alerts.messages(tuple(alert.alert_id for alert in incident.alerts))
    if not messages:
        return GroupingReplay(alerts=alerts, difference="its alert messages are not in the database")
    return GroupingReplay(alerts=alerts, difference=_compare(incident, messages, settings, catalogue))


def _compare(
    incident: Incident, messages: list[AlertMessage], settings: IncidentSettings, catalogue: ServiceCatalogue
) -> str:
    groups = IncidentGroups(settings.grouping, catalogue)
    known = {alert.alert_id for alert in incident.alerts}
    found: dict[str, set[str]] = {}
    for message in _as_they_came(incident, messages):
        for event in groups.feed(message):
            found.setdefault(event.group.id, set()).update(alert.alert_id for alert in event.group.alerts)
    if found.keys() != {incident.id}:
        return f"its alerts make {', '.join(sorted(found)) or 'no incident'}, not {incident.id}"
    if missing := known - found[incident.id]:
        return f"{', '.join(sorted(missing))} did not join"
    suspects = rank(incident.alerts, catalogue, incident.context.changes, settings.suspects)
    before, now = ([(one.service, round(one.score, 9)) for one in ranked] for ranked in (incident.suspects, suspects))
    return "" if before == now else f"the suspects were {before} and are {now}"


def _as_they_came(incident: Incident, messages: list[AlertMessage]) -> list[AlertMessage]:
    """The beginnings in the order in which the alerts joined, the rest by event time: the topic's order is not kept."""
    joined = {alert.alert_id: index for index, alert in enumerate(incident.alerts)}
    begun = sorted((m for m in messages if m.state is AlertState.FIRING), key=lambda one: joined[one.alert_id])
    rest = [message for message in messages if message.state is not AlertState.FIRING]
    return [*begun, *sorted(rest, key=lambda one: (one.window.end, _ORDER[one.state], joined[one.alert_id]))]
