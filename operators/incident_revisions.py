"""Which candidate revisions of an incident are worth publishing. Pure.

A revision says something new when alerts join, change state or resolve, or when suspects, severity, context or status
change; a window that only confirms what is known says nothing. Numbers come from the group's steps: after a crash the
same messages give the same numbers, so a reader that keeps the highest one never goes back and never misses the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from sentinel.canonical import digest
from sentinel.incidents import Incident, IncidentStatus


class RevisionVerdict(StrEnum):
    """What became of a candidate revision."""

    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    MERGED = "merged"


@dataclass(slots=True, kw_only=True)
class _Published:
    """The last published revision of the open incident with this book's fingerprint."""

    incident_id: str = ""
    revision: int = 0
    says: str = ""
    v: int = 1


class RevisionBook:
    """What was published of the incident that is open under one fingerprint; there is at most one at a time."""

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        """Start empty, or from what `snapshot` returned."""
        self._last = msgspec.convert(state, _Published) if state is not None else _Published()

    def snapshot(self) -> dict[str, Any]:
        """The whole state as plain values."""
        plain: dict[str, Any] = msgspec.to_builtins(self._last)
        return plain

    def judge(self, candidate: Incident) -> tuple[RevisionVerdict, str]:
        """Decide on a candidate, with the reason. A second incident under an open fingerprint is merged into the first."""
        last = self._last
        if last.incident_id and candidate.id != last.incident_id:
            return RevisionVerdict.MERGED, f"the same problem is open as {last.incident_id}"
        says = _says(candidate)
        if candidate.revision <= last.revision or says == last.says:
            return RevisionVerdict.UNCHANGED, f"revision {last.revision} says the same"
        self._last = _Published(incident_id=candidate.id, revision=candidate.revision, says=says)
        if candidate.status is IncidentStatus.RESOLVED:
            self._last = _Published()
        return RevisionVerdict.PUBLISHED, f"revision {candidate.revision} of {candidate.title}"

    @property
    def empty(self) -> bool:
        """Whether no incident is open under this fingerprint."""
        return not self._last.incident_id


def _says(incident: Incident) -> str:
    context = incident.context
    return digest(
        {
            "status": incident.status,
            "title": incident.title,
            "kind": incident.kind,
            "severity": incident.severity,
            "services": incident.services,
            "alerts": [(alert.alert_id, alert.firing, alert.resolution) for alert in incident.alerts],
            "suspects": [suspect.service for suspect in incident.suspects],
            "recurrence_of": incident.recurrence_of,
            "similar": [(past.incident_id, past.outcome, past.action) for past in context.similar],
            "history": [fact.series_key for fact in context.history],
            "changes": context.changes,
            "missing": context.missing,
        }
    )
