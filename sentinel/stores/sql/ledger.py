"""The idempotency ledger: an action is written down before it happens, so that it happens once or is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from sentinel.errors import PermanentError
from sentinel.runs import LedgerEntry, LedgerStatus
from sentinel.stores.sql import tables
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.documents import from_document, to_document

_LEDGER = tables.ledger


class Ledger:
    """Entries by idempotency key. Written by the worker; `now` is wall time in seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, entry: LedgerEntry) -> tuple[LedgerEntry, bool]:
        """Insert the entry, or find the one with the same key: (stored entry, whether this call inserted it).

        Atomic: of any number of callers one inserts. When the entry was there and is `started`, the executor may
        have been called: call it again with the same key, or ask it, but never with a new key.
        """
        with self._database.write():
            fresh = self._database.insert_or_ignore(
                _LEDGER,
                {
                    "key": entry.key,
                    "run_id": entry.run_id,
                    "incident_id": entry.incident_id,
                    "status": entry.status.value,
                    "started_at": entry.started_at,
                    "document": to_document(entry),
                },
            )
            return self._require(entry.key), fresh

    def applied(self, key: str, *, result: dict[str, Any], effective_at: float, now: float) -> LedgerEntry:
        """The executor answered. `effective_at` is event time. Applied again, the first answer stays."""
        return self._end(key, LedgerStatus.APPLIED, now, result=result, effective_at=effective_at)

    def failed(self, key: str, *, error: str, now: float) -> LedgerEntry:
        """The executor refused or failed, and nothing changed. Failed again, the first error stays."""
        return self._end(key, LedgerStatus.FAILED, now, error=error)

    def get(self, key: str) -> LedgerEntry | None:
        """The entry, or None."""
        with self._database.read() as connection:
            text = connection.execute(sa.select(_LEDGER.c.document).where(_LEDGER.c.key == key)).scalar_one_or_none()
        return None if text is None else from_document(text, LedgerEntry)

    def find(
        self, *, run_id: str = "", incident_id: str = "", status: LedgerStatus | None = None, since: float | None = None
    ) -> list[LedgerEntry]:
        """Entries that match every given filter, oldest first; `since` bounds when they began (wall time)."""
        query = sa.select(_LEDGER.c.document).order_by(_LEDGER.c.started_at, _LEDGER.c.key)
        if run_id:
            query = query.where(_LEDGER.c.run_id == run_id)
        if incident_id:
            query = query.where(_LEDGER.c.incident_id == incident_id)
        if status is not None:
            query = query.where(_LEDGER.c.status == status.value)
        if since is not None:
            query = query.where(_LEDGER.c.started_at >= since)
        with self._database.read() as connection:
            return [from_document(text, LedgerEntry) for text in connection.execute(query).scalars()]

    def _end(self, key: str, status: LedgerStatus, now: float, **changes: Any) -> LedgerEntry:
        with self._database.write() as connection:
            self._database.lock(f"ledger:{key}")
            entry = self._require(key)
            if entry.status is status:
                return entry
            if entry.status is not LedgerStatus.STARTED:
                raise PermanentError(f"ledger entry {key} is {entry.status.value} and cannot become {status.value}")
            ended = replace(entry, status=status, ended_at=now, **changes)
            statement = sa.update(_LEDGER).where(_LEDGER.c.key == key)
            connection.execute(statement.values(status=status.value, document=to_document(ended)))
            return ended

    def _require(self, key: str) -> LedgerEntry:
        entry = self.get(key)
        if entry is None:
            raise PermanentError(f"there is no ledger entry {key!r}")
        return entry
