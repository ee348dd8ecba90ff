"""Topics into SQL exactly once: rows and consumer offsets change in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from sentinel.alerts import AlertMessage
from sentinel.incidents import Incident
from sentinel.stores.sql import tables
from sentinel.stores.sql.alerts import AlertStore
from sentinel.stores.sql.cards import CardStore
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.incidents import IncidentStore

Position = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, slots=True)
class Projected:
    """What one batch changed: incidents that got a newer revision, alert messages that were new."""

    incidents: int
    alerts: int


class Projection:
    """The worker's way from the topics `incidents` and `alerts` to the SQL view.

    Rows are idempotent by id (and revision), and offsets never go back, so that a batch that is read again changes
    nothing. The consumer starts at `offsets` and ignores the broker's own committed offsets.
    """

    def __init__(self, database: Database, incidents: IncidentStore, alerts: AlertStore) -> None:
        self._database = database
        self._incidents = incidents
        self._alerts = alerts
        self._cards = CardStore(database)

    def offsets(self, consumer: str) -> dict[Position, int]:
        """The next offset to read by topic and partition; empty when this consumer never projected anything."""
        table = tables.consumer_offsets
        query = sa.select(table.c.topic, table.c.partition, table.c.next_offset).where(table.c.consumer == consumer)
        with self._database.read() as connection:
            return {(row.topic, row.partition): row.next_offset for row in connection.execute(query)}

    def apply(
        self,
        consumer: str,
        next_offsets: Mapping[Position, int],
        *,
        incidents: Sequence[Incident] = (),
        alerts: Sequence[AlertMessage] = (),
        follow: Callable[[Incident], None] | None = None,
    ) -> Projected:
        """Store one batch and where to read on, all or nothing; cards of incidents that changed are behind then.

        `follow` is called in the transaction with each incident that got a newer revision.
        """
        with self._database.write():
            changed = [incident for incident in incidents if self._incidents.upsert(incident)]
            for incident in changed:
                self._cards.touch(incident.id)
                if follow is not None:
                    follow(incident)
            result = Projected(len(changed), self._alerts.add(alerts))
            for (topic, partition), offset in sorted(next_offsets.items()):
                row = {"consumer": consumer, "topic": topic, "partition": partition, "next_offset": offset}
                self._database.insert_or_update(
                    tables.consumer_offsets, row, ("consumer", "topic", "partition"), newer="next_offset"
                )
        return result

    def forget(self, consumer: str) -> None:
        """Drop the consumer's offsets: for a broker whose topics began anew (the embedded one after a restart)."""
        table = tables.consumer_offsets
        with self._database.write() as connection:
            connection.execute(sa.delete(table).where(table.c.consumer == consumer))
