"""Outcomes of attempts, kept until they are on their topic: an outbox."""

from __future__ import annotations

import sqlalchemy as sa

from sentinel.outcomes import Outcome
from sentinel.stores.sql import tables
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.documents import from_document, to_document

_OUTCOMES = tables.outcomes


class OutcomeStore:
    """Outcomes by id. The worker records one, publishes it, then marks it; after a crash it publishes it again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, outcome: Outcome) -> bool:
        """Store the outcome unless its id is there; True when it was stored."""
        return self._database.insert_or_ignore(
            _OUTCOMES,
            {
                "outcome_id": outcome.outcome_id,
                "incident_id": outcome.incident_id,
                "recorded_at": outcome.recorded_at,
                "document": to_document(outcome),
            },
        )

    def find(self, incident_id: str = "") -> list[Outcome]:
        """Outcomes of one incident (all when empty), oldest first."""
        query = sa.select(_OUTCOMES.c.document).order_by(_OUTCOMES.c.recorded_at, _OUTCOMES.c.outcome_id)
        return self._read(query.where(_OUTCOMES.c.incident_id == incident_id) if incident_id else query)

    def unpublished(self) -> list[Outcome]:
        """Outcomes that no `mark_published` was called for, oldest first."""
        query = sa.select(_OUTCOMES.c.document).where(_OUTCOMES.c.published == 0)
        return self._read(query.order_by(_OUTCOMES.c.recorded_at, _OUTCOMES.c.outcome_id))

    def mark_published(self, outcome_id: str) -> None:
        """The broker has confirmed the message of this outcome."""
        with self._database.write() as connection:
            connection.execute(sa.update(_OUTCOMES).where(_OUTCOMES.c.outcome_id == outcome_id).values(published=1))

    def _read(self, query: sa.Select[str]) -> list[Outcome]:
        with self._database.read() as connection:
            return [from_document(text, Outcome) for text in connection.execute(query).scalars()]
