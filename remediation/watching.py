"""Reads what verification needs from the projection and lets it judge; worker and graph ask the same question."""

from __future__ import annotations

from dataclasses import dataclass

from remediation.parts import Parts
from remediation.steps import Ground, Verifying
from remediation.verification import Judgement, Watch, own_alerts
from remediation.worsening import Baseline, look
from sentinel.alerts import AlertMessage, Severity
from sentinel.errors import PermanentError
from sentinel.incidents import Incident

LOOK_BACK = 3600.0
"""Event seconds before the action in which a neighbour's standing alert shows how bad it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """An action that took effect at `effective_at` (event time), watched since `since` (wall time)."""

    incident_id: str
    targets: tuple[str, ...]
    effective_at: float
    since: float
    baseline: Baseline | None = None


def judge_now(parts: Parts, watched: Watched) -> Judgement:
    """The judgement from what is projected so far; not verifiable once the time-out is over."""
    return verifying(parts, watched).run(Ground(parts.settings, parts.services))


def verifying(parts: Parts, watched: Watched) -> Verifying:
    """The step that judges: the windows that are projected so far."""
    incident = parts.stores.incidents.get(watched.incident_id)
    if incident is None:
        raise PermanentError(f"there is no incident {watched.incident_id!r} in the view")
    watch = Watch(
        alerts=own_alerts(incident.alerts, watched.effective_at),
        neighbours=guarded(parts, incident, watched.targets),
        effective_at=watched.effective_at,
    )
    return Verifying(
        alerts=watch.alerts,
        neighbours=tuple(sorted(watch.neighbours)),
        effective_at=watch.effective_at,
        messages=tuple(_messages(parts, watch)),
        waited=parts.now() - watched.since,
    )


def escalation(parts: Parts, watched: Watched) -> str:
    """Why the incident is worse than when it was decided to act, or an empty string.

    Of what is new only critical alerts count, and at once: what an action stirs up for a moment, and a symptom more, is for
    the judgement, after things have settled.
    """
    incident = parts.stores.incidents.get(watched.incident_id)
    around = guarded(parts, incident, watched.targets) if incident else frozenset()
    return look(parts, watched.incident_id, watched.baseline, watched.effective_at, around, least=Severity.CRITICAL)


def guarded(parts: Parts, incident: Incident, targets: tuple[str, ...]) -> frozenset[str]:
    """Services on which a new alert counts against the action: the incident's, the targets, and their neighbours."""
    near = {name for target in targets for name in parts.services.neighbours(target)}
    return frozenset(near.union(incident.services, targets))


def _messages(parts: Parts, watch: Watch) -> list[AlertMessage]:
    own = parts.stores.alerts.messages(watch.alerts)
    near = parts.stores.alerts.around(watch.neighbours, since=watch.effective_at - LOOK_BACK)
    return [*own, *(message for message in near if message.alert_id not in watch.alerts)]
