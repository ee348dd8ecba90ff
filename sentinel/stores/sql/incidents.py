"""The incidents view: the newest revision of every incident, as the worker projected it."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from sentinel.alerts import FaultKind, Severity
from sentinel.incidents import Incident, IncidentStatus
from sentinel.paging import Page, make_cursor
from sentinel.stores.sql import tables
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.documents import from_document, to_document
from sentinel.stores.sql.paging import newest_first


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFilter:
    """Which incidents; an unset field matches all. `since` and `until` bound `opened_at` (event time, seconds)."""

    status: IncidentStatus | None = None
    service: str = ""
    kind: FaultKind | None = None
    severity: Severity | None = None
    since: float | None = None
    until: float | None = None


class IncidentStore:
    """Incidents by id, newest revision only. Written by the worker, read by all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def upsert(self, incident: Incident) -> bool:
        """Store the revision if it is newer than the stored one; True when it was."""
        row = {
            "id": incident.id,
            "revision": incident.revision,
            "status": incident.status.value,
            "severity": incident.severity.value,
            "kind": incident.kind.value,
            "opened_at": incident.opened_at,
            "updated_at": incident.updated_at,
            "document": to_document(incident),
        }
        services = tables.incident_services
        with self._database.write() as connection:
            if not self._database.insert_or_update(tables.incidents, row, ("id",), newer="revision"):
                return False
            connection.execute(sa.delete(services).where(services.c.incident_id == incident.id))
            names = [{"incident_id": incident.id, "service": name} for name in sorted(set(incident.services))]
            if names:
                connection.execute(sa.insert(services), names)
        return True

    def get(self, incident_id: str) -> Incident | None:
        """The newest revision, or None."""
        query = sa.select(tables.incidents.c.document).where(tables.incidents.c.id == incident_id)
        with self._database.read() as connection:
            document = connection.execute(query).scalar_one_or_none()
        return None if document is None else from_document(document, Incident)

    def find(
        self,
        only: IncidentFilter = IncidentFilter(),
        *,
        cursor: str = "",
        limit: int = 50,
    ) -> Page[Incident]:
        """Incidents that match `only`, newest `opened_at` first; `cursor` is an earlier page's `next_cursor`."""
        table = tables.incidents
        query = newest_first(_where(sa.select(table.c.document), only), table.c.opened_at, table.c.id, cursor, limit)
        with self._database.read() as connection:
            found = [from_document(text, Incident) for text in connection.execute(query).scalars()]
        more = len(found) > limit
        found = found[:limit]
        return Page(tuple(found), make_cursor(found[-1].opened_at, found[-1].id) if more else "")

    def open_incidents(self) -> list[Incident]:
        """Every open incident, oldest first: what the worker looks after."""
        table = tables.incidents
        query = (
            sa.select(table.c.document)
            .where(table.c.status == IncidentStatus.OPEN.value)
            .order_by(table.c.opened_at, table.c.id)
        )
        with self._database.read() as connection:
            return [from_document(text, Incident) for text in connection.execute(query).scalars()]


def _where(query: sa.Select[str], only: IncidentFilter) -> sa.Select[str]:
    table = tables.incidents
    for column, wanted in ((table.c.status, only.status), (table.c.kind, only.kind), (table.c.severity, only.severity)):
        if wanted is not None:
            query = query.where(column == wanted.value)
    if only.service:
        services = tables.incident_services
        query = query.where(sa.exists().where(services.c.incident_id == table.c.id, services.c.service == only.service))
    if only.since is not None:
        query = query.where(table.c.opened_at >= only.since)
    if only.until is not None:
        query = query.where(table.c.opened_at < only.until)
    return query
