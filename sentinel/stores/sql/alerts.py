"""The alerts' messages in SQL: what verification counts and what an incident's page shows."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from sentinel.alerts import AlertMessage, AlertState
from sentinel.stores.sql import tables
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.documents import from_document, to_document


class AlertStore:
    """Every alert message once, by `message_id`. Written by the worker's projection, read by worker and API."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, messages: Sequence[AlertMessage]) -> int:
        """Store the messages that are not there yet; returns how many were new."""
        with self._database.write():
            return sum(self._add(message) for message in messages)

    def messages(
        self, alert_ids: Collection[str], *, starting_at: float = 0.0, last: int | None = None
    ) -> list[AlertMessage]:
        """All messages of these alerts whose window starts at or after `starting_at` (event time), in window order.

        Verification passes the executor's `effective_at`: what a window that began before saw says nothing of the fix.
        `last` keeps only so many of the newest.
        """
        table = tables.alert_messages
        query = (
            sa.select(table.c.document)
            .where(table.c.alert_id.in_(list(alert_ids)), table.c.window_start >= starting_at)
            .order_by(table.c.window_end.desc(), table.c.message_id.desc())
            .limit(last)
        )
        return self._read(query)[::-1]

    def fired(self, services: Collection[str], *, since: float) -> list[AlertMessage]:
        """The `firing` messages of these services with `fired_at` >= `since` (event time), oldest first."""
        table = tables.alert_messages
        query = (
            sa.select(table.c.document)
            .where(
                table.c.service.in_(list(services)),
                table.c.fired_at >= since,
                table.c.state == AlertState.FIRING.value,
            )
            .order_by(table.c.fired_at, table.c.message_id)
        )
        return self._read(query)

    def around(self, services: Collection[str], *, since: float) -> list[AlertMessage]:
        """Every message of these services whose window ends after `since` (event time), in window order."""
        table = tables.alert_messages
        query = (
            sa.select(table.c.document)
            .where(table.c.service.in_(list(services)), table.c.window_end > since)
            .order_by(table.c.window_end, table.c.message_id)
        )
        return self._read(query)

    def _add(self, message: AlertMessage) -> bool:
        return self._database.insert_or_ignore(
            tables.alert_messages,
            {
                "message_id": message.message_id,
                "alert_id": message.alert_id,
                "state": message.state.value,
                "service": message.service,
                "window_start": message.window.start,
                "window_end": message.window.end,
                "fired_at": message.fired_at,
                "document": to_document(message),
            },
        )

    def _read(self, query: sa.Select[str]) -> list[AlertMessage]:
        with self._database.read() as connection:
            return [from_document(text, AlertMessage) for text in connection.execute(query).scalars()]
