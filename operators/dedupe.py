"""Step `dedupe`: publishes a revision only when it says something new, and one incident per open fingerprint.

Thin; the judgement is in `incident_revisions`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Stream
from bytewax.operators import KeyedStream, StatefulLogic

from operators import incident_decisions
from operators.incident_revisions import RevisionBook, RevisionVerdict
from sentinel import metrics
from sentinel.decisions import Decision
from sentinel.incidents import Incident


class DedupeLogic(StatefulLogic[Incident, Incident | Decision, dict[str, Any]]):
    """The book of one fingerprint."""

    def __init__(self, now: Callable[[], float], state: dict[str, Any] | None) -> None:
        self._now = now
        self._book = RevisionBook(state)

    def on_item(self, value: Incident) -> tuple[list[Incident | Decision], bool]:
        """Judge one candidate revision."""
        verdict, reason = self._book.judge(value)
        metrics.INCIDENT_REVISIONS.labels(verdict=verdict.value).inc()
        if verdict is RevisionVerdict.UNCHANGED:
            return [], self._book.empty
        rows: list[Incident | Decision] = [incident_decisions.of_revision(value, verdict, reason, self._now())]
        if verdict is RevisionVerdict.PUBLISHED:
            rows.insert(0, value)
        return rows, self._book.empty

    def snapshot(self) -> dict[str, Any]:
        """Plain values."""
        return self._book.snapshot()


def dedupe(step_id: str, candidates: Stream[Incident], now: Callable[[], float]) -> KeyedStream[Incident | Decision]:
    """Let through the revisions that say something new, with decision rows. `now` is wall time."""
    keyed = op.key_on(f"{step_id}_key", candidates, lambda incident: incident.fingerprint)
    return op.stateful(step_id, keyed, lambda state: DedupeLogic(now, state))
