"""One incident with its facts: when to look something up, what to remember, which candidate revision to show. Pure.

The group (who belongs together) comes from `incident_groups`. This adds what the stores know, ranks the suspects with
it, and owes the incident memory an entry and an outcome, which it keeps until the memory has taken them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from operators.incident_facts import FactFinder, Remembered, recurrence
from operators.incident_group import Group, GroupEvent, GroupVerdict
from operators.incident_settings import IncidentSettings
from operators.incident_text import kind_of, memory_text, severity_of, title_of
from operators.suspects import rank
from sentinel.alerts import FaultKind
from sentinel.catalogue import ServiceCatalogue
from sentinel.errors import PermanentError, SentinelError, TransientError
from sentinel.incidents import Change, Context, HistoryFact, Incident, IncidentStatus, PastIncident
from sentinel.outcomes import Outcome
from sentinel.stores.memory.protocol import MemoryEntry

_LONGEST_RECHECK = 30.0
_MOST_RECHECKS = 12
"""After so many (four minutes with the defaults) no archive runs, or the alert is of a series that it does not hold."""


@dataclass(slots=True, kw_only=True)
class RecordState:
    """What an incident's record holds between messages; plain data, `v` is its version.

    `asked` is what the last complete look-up was about. `owed` is the entry that memory has to take (None: nothing), and
    `owed_outcome` an outcome of an incident that this record has no entry for. `rechecks` counts the look-ups that came
    before the history had reached the incident.
    """

    group: Group | None = None
    asked: list[str] = field(default_factory=list)
    history: tuple[HistoryFact, ...] = ()
    changes: tuple[Change, ...] = ()
    similar: tuple[PastIncident, ...] = ()
    missing: tuple[str, ...] = ()
    recheck: bool = False
    rechecks: int = 0
    entry: MemoryEntry | None = None
    owed: bool = False
    owed_outcome: Outcome | None = None
    attempt: int = 0
    v: int = 1


class IncidentRecord:
    """The state of one incident in the step `enrich`. `on_*` methods change it; none of them raises for a store."""

    def __init__(
        self,
        finder: FactFinder,
        catalogue: ServiceCatalogue,
        settings: IncidentSettings,
        state: dict[str, Any] | None = None,
    ) -> None:
        """Start empty, or from what `snapshot` returned."""
        self._finder = finder
        self._catalogue = catalogue
        self._settings = settings
        self._state = msgspec.convert(state, RecordState) if state is not None else RecordState()

    def snapshot(self) -> dict[str, Any]:
        """The whole state as plain values."""
        plain: dict[str, Any] = msgspec.to_builtins(self._state)
        return plain

    @property
    def wants_recheck(self) -> bool:
        """Whether changes should be looked up once more, in `recheck_seconds`."""
        return self._state.recheck

    @property
    def recheck_delay(self) -> float:
        """Wall seconds from one look-up of the changes to the next: doubles with each one that came too early."""
        return min(self._settings.enrich.recheck_seconds * 2.0**self._state.rechecks, _LONGEST_RECHECK)

    @property
    def owes_memory(self) -> bool:
        """Whether memory has yet to take an entry or an outcome, to be tried again in `retry_seconds`."""
        return self._state.owed or self._state.owed_outcome is not None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do: the incident has resolved, or was never here, and memory has everything."""
        group = self._state.group
        return not self.owes_memory and (group is None or group.status is IncidentStatus.RESOLVED)

    def on_group(self, event: GroupEvent) -> Incident:
        """Take what happened to the group; return the candidate revision that follows from it."""
        state = self._state
        state.group = event.group
        if event.group.status is IncidentStatus.OPEN:
            self._look_up(event.verdict)
        else:
            state.recheck = False
        incident = self._incident(event.group, 2 * event.group.steps - 1)
        self._note_entry(incident)
        self.pay_memory()
        return incident

    def on_recheck(self) -> Incident | None:
        """Look up the changes once more and return the candidate revision.

        None when the incident is not open any more, and when nothing is new and the history does not reach up to the
        incident yet: after a crash the archive is seconds behind, and the deploy that explains everything may be on its
        way. `wants_recheck` says then that it is to be asked again.
        """
        state, known = self._state, self._state.changes
        state.recheck = False
        if state.group is None or state.group.status is not IncidentStatus.OPEN:
            return None
        state.missing = tuple(name for name in state.missing if name != "history")
        self._ask_changes(state.group)
        if state.changes == known and state.rechecks < _MOST_RECHECKS and self._behind(state.group):
            state.recheck, state.rechecks = True, state.rechecks + 1
            return None
        incident = self._incident(state.group, 2 * state.group.steps)
        self._note_entry(incident)
        self.pay_memory()
        return incident

    def on_outcome(self, outcome: Outcome) -> str:
        """Take how an attempt ended; the latest attempt counts, and a repeated message changes nothing.

        Returns what memory said: `written`, `unknown` (it does not have the incident), `refused`, or `away` (tried again
        later).
        """
        state = self._state
        if outcome.attempt < state.attempt:
            return "written"
        state.attempt = outcome.attempt
        if state.entry is None:
            state.owed_outcome = outcome
        else:
            told = replace(state.entry, outcome=outcome.result.value, action=action_line(outcome))
            state.owed = state.owed or told != state.entry
            state.entry = told
        return self.pay_memory()

    def pay_memory(self) -> str:
        """Write to memory what is owed, and say what came of it, in the words of `on_outcome`."""
        state = self._state
        try:
            if state.owed and state.entry is not None:
                self._finder.remember(state.entry)
                state.owed = False
                return "written"
            if state.owed_outcome is not None:
                outcome = state.owed_outcome
                known = self._finder.set_outcome(outcome.incident_id, outcome.result.value, action_line(outcome))
                state.owed_outcome = None
                return "written" if known else "unknown"
        except TransientError:
            return "away"
        except PermanentError:
            # The breaker has logged it; memory informs only, so a refused entry is dropped and never tried again.
            state.owed, state.owed_outcome = False, None
            return "refused"
        return "written"

    def _look_up(self, verdict: GroupVerdict) -> None:
        """Look up at opening, when a service joins, when the first suspect, kind or its metrics turn, and after a store was away.

        A window that only confirms asks nothing, so that a store that is away costs nothing either.
        """
        state, group = self._state, self._group
        if verdict is GroupVerdict.UPDATED and not state.missing:
            return
        about = self._about(group)
        if [*group.services, about.text] == state.asked and not state.missing:
            return
        state.missing = ()
        self._ask_changes(group)
        about = self._about(group)
        self._ask_history(group)
        self._ask_memory(group, about)
        state.asked = [*group.services, about.text]
        state.recheck, state.rechecks = True, 0

    def _ask_changes(self, group: Group) -> None:
        try:
            self._state.changes = self._finder.changes(group)
        except SentinelError:
            self._miss("history")

    def _behind(self, group: Group) -> bool:
        """Whether the history does not hold yet what the alerts were made of."""
        try:
            return "history" not in self._state.missing and self._finder.behind(group.alerts)
        except SentinelError:
            self._miss("history")
            return False

    def _ask_history(self, group: Group) -> None:
        known = {fact.series_key for fact in self._state.history}
        new = [alert for alert in group.alerts if alert.series.key not in known]
        room = self._settings.enrich.history_series - len(known)
        if "history" in self._state.missing or not new or room <= 0:
            return
        by_series = {alert.series.key: alert for alert in new}
        try:
            self._state.history += self._finder.history(list(by_series.values())[:room])
        except SentinelError:
            self._miss("history")

    def _ask_memory(self, group: Group, about: Remembered) -> None:
        try:
            self._state.similar = self._finder.similar(group, about)
        except SentinelError:
            self._miss("memory")

    def _miss(self, store: str) -> None:
        self._state.missing = tuple(sorted({*self._state.missing, store}))

    @property
    def _group(self) -> Group:
        if self._state.group is None:
            raise ValueError("the record has no group yet; on_group comes first")
        return self._state.group

    def _about(self, group: Group) -> Remembered:
        first = rank(group.alerts, self._catalogue, self._state.changes, self._settings.suspects)[0].service
        kind = kind_of(group.alerts, first)
        return Remembered(text=memory_text(kind, first, group.alerts), first=first, kind=kind)

    def _incident(self, group: Group, revision: int) -> Incident:
        state = self._state
        suspects = rank(group.alerts, self._catalogue, state.changes, self._settings.suspects)
        first = suspects[0].service
        kind: FaultKind = kind_of(group.alerts, first)
        return Incident(
            id=group.id,
            revision=revision,
            fingerprint=group.fingerprint,
            status=group.status,
            title=title_of(kind, first, group.services, self._catalogue),
            kind=kind,
            severity=severity_of(group.alerts, self._catalogue),
            opened_at=group.opened_at,
            updated_at=group.updated_at,
            resolved_at=group.resolved_at,
            detected_at=group.detected_at,
            services=group.services,
            alerts=group.alerts,
            suspects=suspects,
            context=Context(history=state.history, similar=state.similar, changes=state.changes, missing=state.missing),
            recurrence_of=recurrence(state.similar, first, kind),
            trace_id=group.trace_id,
            config_hash=self._settings.hash,
        )

    def _note_entry(self, incident: Incident) -> None:
        """Owe memory the incident as it is now, where that differs from what memory was given."""
        old = self._state.entry
        first = incident.suspects[0].service
        entry = MemoryEntry(
            incident_id=incident.id,
            fingerprint=incident.fingerprint,
            title=incident.title,
            service=first,
            services=incident.services,
            kind=incident.kind,
            opened_at=incident.opened_at,
            text=memory_text(incident.kind, first, incident.alerts),
            outcome=old.outcome if old else "",
            action=old.action if old else "",
        )
        if entry != old:
            self._state.entry, self._state.owed = entry, True


def action_line(outcome: Outcome) -> str:
    """What was done, in one line: `rollback checkout, restart cart`; empty when nothing ran."""
    return ", ".join(outcome.actions)
