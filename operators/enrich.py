"""Step `enrich`: adds facts from history and memory to each incident and ranks its suspects.

Thin; look-ups are in `incident_facts`, what an incident holds is in `incident_record`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import bytewax.operators as op
from bytewax.operators import KeyedStream, StatefulLogic

from operators import incident_decisions
from operators.incident_facts import FactFinder
from operators.incident_group import GroupEvent, GroupVerdict
from operators.incident_record import IncidentRecord
from operators.incident_settings import IncidentSettings
from sentinel.catalogue import ServiceCatalogue
from sentinel.decisions import Decision
from sentinel.incidents import Incident
from sentinel.outcomes import Outcome

_LOOKED_UP = frozenset({GroupVerdict.OPENED, GroupVerdict.JOINED})


class EnrichLogic(StatefulLogic[GroupEvent | Outcome, Incident | Decision, dict[str, Any]]):
    """One incident. Wall time says when to look up changes again and when to try the memory again."""

    def __init__(self, record: IncidentRecord, settings: IncidentSettings, now: Callable[[], float]) -> None:
        self._record = record
        self._settings = settings
        self._now = now
        self._tried_at = now()
        self._recheck_at: float | None = None
        self._plan_recheck()

    def on_item(self, value: GroupEvent | Outcome) -> tuple[list[Incident | Decision], bool]:
        """Take what happened to the incident's group, or how a remediation of it ended."""
        self._tried_at = self._now()
        if isinstance(value, Outcome):
            result = self._record.on_outcome(value)
            row = incident_decisions.of_outcome(value, result, self._now(), self._settings.hash)
            return [row], self._record.finished
        incident = self._record.on_group(value)
        self._plan_recheck()
        rows: list[Incident | Decision] = [incident]
        if value.verdict in _LOOKED_UP:
            rows.append(incident_decisions.of_facts(incident, self._now()))
        return rows, self._record.finished

    def on_notify(self) -> tuple[list[Incident | Decision], bool]:
        """Look up changes once more, and try to write what memory is owed."""
        rows: list[Incident | Decision] = []
        if self._recheck_at is not None and self._now() >= self._recheck_at:
            self._recheck_at = None
            incident = self._record.on_recheck()
            rows = [] if incident is None else [incident, incident_decisions.of_facts(incident, self._now())]
            self._plan_recheck()
        if self._record.owes_memory:
            self._tried_at = self._now()
            self._record.pay_memory()
        return rows, self._record.finished

    def notify_at(self) -> datetime | None:
        """The earlier of the next look-up and the next attempt to write."""
        retry = self._tried_at + self._settings.enrich.retry_seconds if self._record.owes_memory else None
        due = min((at for at in (self._recheck_at, retry) if at is not None), default=None)
        return None if due is None else datetime.fromtimestamp(due + 0.01, UTC)

    def snapshot(self) -> dict[str, Any]:
        """Plain values."""
        return self._record.snapshot()

    def _plan_recheck(self) -> None:
        if not self._record.wants_recheck:
            self._recheck_at = None
        elif self._recheck_at is None:
            self._recheck_at = self._now() + self._record.recheck_delay


def enrich(
    step_id: str,
    groups: KeyedStream[GroupEvent],
    outcomes: KeyedStream[Outcome],
    finder: FactFinder,
    catalogue: ServiceCatalogue,
    settings: IncidentSettings,
    now: Callable[[], float],
) -> KeyedStream[Incident | Decision]:
    """Enrich incidents; both inputs are keyed by incident id. Emits candidate revisions and decision rows."""

    def build(state: dict[str, Any] | None) -> EnrichLogic:
        return EnrichLogic(IncidentRecord(finder, catalogue, settings, state), settings, now)

    together: KeyedStream[GroupEvent | Outcome] = op.merge(f"{step_id}_merge", groups, outcomes)
    return op.stateful(step_id, together, build)
