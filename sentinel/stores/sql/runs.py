"""Runs of the remediation graph: what each is doing, who holds it, and the incident's timeline."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from sentinel.errors import PermanentError
from sentinel.runs import Run, RunStatus, TimelineRow
from sentinel.stores.sql import tables
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.documents import from_document, to_document

_RUNS = tables.runs
_TIMELINE = tables.timeline


class RunStore:
    """Runs by id, with their lease and the timeline rows. Written by the worker; `now` is wall time in seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, run: Run) -> tuple[Run, bool]:
        """Insert the run, or find the one with the same id: (stored run, whether this call inserted it).

        With an id made from the incident's id, one run per incident is started whatever crashes or races.
        """
        with self._database.write():
            created = self._database.insert_or_ignore(_RUNS, {**asdict(run), "status": run.status.value})
            return self._require(run.id), created

    def get(self, run_id: str) -> Run | None:
        """The run, or None."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(_RUNS).where(_RUNS.c.id == run_id)).one_or_none()
        return None if row is None else _run(row)

    def find(self, *, incident_id: str = "", statuses: Collection[RunStatus] = ()) -> list[Run]:
        """Runs that match every given filter, oldest first."""
        query = sa.select(_RUNS).order_by(_RUNS.c.created_at, _RUNS.c.id)
        if incident_id:
            query = query.where(_RUNS.c.incident_id == incident_id)
        if statuses:
            query = query.where(_RUNS.c.status.in_([status.value for status in statuses]))
        with self._database.read() as connection:
            return [_run(row) for row in connection.execute(query)]

    def unfinished(self) -> list[Run]:
        """Runs that are not final, oldest first: what a worker takes up after a start."""
        return self.find(statuses=[status for status in RunStatus if not status.final])

    def update(
        self,
        run_id: str,
        *,
        now: float,
        status: RunStatus | None = None,
        attempt: int | None = None,
        last_error: str | None = None,
    ) -> Run:
        """Change what is given, and `updated_at`; a final status also sets `finished_at`.

        Raises `PermanentError` when the run is unknown or would leave a final status.
        """
        values: dict[str, Any] = {"updated_at": now}
        if status is not None:
            values |= {"status": status.value, "finished_at": now if status.final else None}
        if attempt is not None:
            values["attempt"] = attempt
        if last_error is not None:
            values["last_error"] = last_error
        with self._database.write() as connection:
            self._database.lock(f"run:{run_id}")
            before = self._require(run_id)
            if before.status.final and status is not None and status is not before.status:
                raise PermanentError(f"run {run_id} is {before.status.value} and cannot become {status.value}")
            connection.execute(sa.update(_RUNS).where(_RUNS.c.id == run_id).values(**values))
            return self._require(run_id)

    def claim(self, run_id: str, *, owner: str, now: float, seconds: float) -> int | None:
        """Take or renew the run's lease for `seconds`; returns its epoch, or None while another owner holds it.

        The epoch grows when the owner changes or the lease had run out, and stays when the owner renews in time.
        """
        holds = sa.and_(_RUNS.c.lease_owner == owner, _RUNS.c.lease_until > now)
        free = _RUNS.c.lease_until <= now
        statement = (
            sa.update(_RUNS)
            .where(_RUNS.c.id == run_id, sa.or_(holds, free))
            .values(lease_owner=owner, lease_until=now + seconds, epoch=_RUNS.c.epoch + sa.case((holds, 0), else_=1))
        )
        with self._database.write() as connection:
            if not connection.execute(statement).rowcount:
                return None
            return self._require(run_id).epoch

    def release(self, run_id: str, *, owner: str) -> None:
        """Give the lease back, if `owner` still has it."""
        statement = sa.update(_RUNS).where(_RUNS.c.id == run_id, _RUNS.c.lease_owner == owner)
        with self._database.write() as connection:
            connection.execute(statement.values(lease_until=0.0))

    def tell(self, row: TimelineRow) -> bool:
        """Add a row to the incident's timeline unless its `row_id` is there; True when it was added."""
        return self._database.insert_or_ignore(
            _TIMELINE,
            {
                "row_id": row.row_id,
                "incident_id": row.incident_id,
                "at": row.at,
                "document": to_document(row),
            },
        )

    def timeline(self, incident_id: str) -> list[TimelineRow]:
        """The incident's timeline, oldest first."""
        query = sa.select(_TIMELINE.c.document).where(_TIMELINE.c.incident_id == incident_id)
        query = query.order_by(_TIMELINE.c.at, _TIMELINE.c.row_id)
        with self._database.read() as connection:
            return [from_document(text, TimelineRow) for text in connection.execute(query).scalars()]

    def _require(self, run_id: str) -> Run:
        run = self.get(run_id)
        if run is None:
            raise PermanentError(f"there is no run {run_id!r}")
        return run


def _run(row: sa.Row[Any]) -> Run:
    return Run(**{**row._mapping, "status": RunStatus(row.status)})  # noqa: SLF001 the public name of a row's dict
