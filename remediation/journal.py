"""What a run tells: timeline and audit in SQL, exactly once, and decision rows for the topic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from sentinel.canonical import short_id
from sentinel.decisions import Decision, decision_id
from sentinel.runs import TimelineRow
from sentinel.stores.sql.stores import SqlStores


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Which run, attempt and service a row is about."""

    run_id: str
    incident_id: str
    attempt: int
    trace_id: str
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One step of the story. `key` tells steps of the same kind in one attempt apart.

    `actor` is who did it; `target` is what it was done to, the incident when empty. `event_at` is event time.
    """

    kind: str
    text: str
    key: str = ""
    actor: str = "worker"
    target: str = ""
    digest: str = ""
    event_at: float | None = None
    details: dict[str, Any] = field(default_factory=dict)


class Journal:
    """Writes each step once, whatever crashes and repeats. Safe for several threads."""

    def __init__(self, stores: SqlStores, now: Callable[[], float], config_hash: str) -> None:
        self._stores = stores
        self._now = now
        self._config_hash = config_hash
        self.decisions: SimpleQueue[Decision] = SimpleQueue()
        """Decision rows that wait to be published."""

    def tell(self, about: About, entry: Entry) -> bool:
        """Add a row to the timeline and a record to the audit, both or neither; False when it was told already.

        Inside a `Database.write` it commits with the rest of it; call it last there, because audit writers queue.
        """
        row = TimelineRow(
            row_id=short_id("tl", about.run_id, about.attempt, entry.kind, entry.key),
            incident_id=about.incident_id,
            run_id=about.run_id,
            attempt=about.attempt,
            kind=entry.kind,
            text=entry.text,
            at=self._now(),
            event_at=entry.event_at,
            details=entry.details,
        )
        with self._stores.database.write():
            if not self._stores.runs.tell(row):
                return False
            self._stores.cards.touch(about.incident_id)
            self._stores.audit.append(
                actor=entry.actor,
                action=entry.kind,
                target=entry.target or about.incident_id,
                at=row.at,
                reason=entry.text,
                digest=entry.digest,
                details={**entry.details, "run_id": about.run_id, "attempt": about.attempt},
                trace_id=about.trace_id,
            )
        return True

    def decide(self, about: About, stage: str, subject: str, verdict: str, reason: str, at: float) -> None:
        """Queue a decision row for the topic; `at` is event time."""
        self.decisions.put(
            Decision(
                decision_id=decision_id(stage, subject, at),
                stage=stage,
                subject=subject,
                verdict=verdict,
                reason=reason,
                at=at,
                decided_at=self._now(),
                config_hash=self._config_hash,
                service=about.service,
                incident_id=about.incident_id,
                trace_id=about.trace_id,
            )
        )
