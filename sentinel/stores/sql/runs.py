"""Runs of the remediation graph: what each is doing, who holds it, and the incident's timeline."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from sentinel.errors import LeaseLostError, PermanentError
from sentinel.runs import Run, RunStatus, TimelineRow
from sentinel.stores.sql import tables
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.documents import from_document, to_document

_RUNS = tables.runs
_TIMELINE = tables.timeline
_UNFINISHED = [status.value for status in RunStatus if not status.final]


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

    def unfinished_ids(self) -> list[str]:
        """The ids of the runs that are not final, oldest first: cheap enough to ask every second."""
        query = sa.select(_RUNS.c.id).where(_RUNS.c.status.in_(_UNFINISHED)).order_by(_RUNS.c.created_at, _RUNS.c.id)
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

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

    def claim(
        self, run_id: str, *, owner: str, now: float, seconds: float, seen: tuple[int, float] | None = None
    ) -> int | None:
        """Take the run's lease; returns its new epoch, or None while another owner holds it. The run must not be final.

        A lease that was given back is free, and so is one of the same owner (it started anew). Another owner's is taken
        over only when it is still as `seen`: epoch and `lease_until`, which change with each renewal. The caller has
        watched that for long enough by a clock of its own, so that no two wall clocks are ever compared; `lease_until`
        is for people.
        """
        takeable = [_RUNS.c.lease_until == 0.0, _RUNS.c.lease_owner == owner]
        if seen is not None:
            takeable.append(sa.and_(_RUNS.c.epoch == seen[0], _RUNS.c.lease_until == seen[1]))
        statement = (
            sa.update(_RUNS)
            .where(_RUNS.c.id == run_id, sa.or_(*takeable), _RUNS.c.status.in_(_UNFINISHED))
            .values(lease_owner=owner, lease_until=now + seconds, epoch=_RUNS.c.epoch + 1)
            .returning(_RUNS.c.epoch)
        )
        with self._database.write() as connection:
            return connection.execute(statement).scalar_one_or_none()

    def renew(self, run_id: str, *, epoch: int, now: float, seconds: float) -> bool:
        """Show that the holder of this epoch is alive; False when it lost the lease."""
        statement = sa.update(_RUNS).where(_RUNS.c.id == run_id, _RUNS.c.epoch == epoch)
        with self._database.write() as connection:
            return bool(connection.execute(statement.values(lease_until=now + seconds)).rowcount)

    def release(self, run_id: str, *, epoch: int) -> None:
        """Give the lease of this epoch back; does nothing when it was taken over."""
        statement = sa.update(_RUNS).where(_RUNS.c.id == run_id, _RUNS.c.epoch == epoch)
        with self._database.write() as connection:
            connection.execute(statement.values(lease_until=0.0))

    @contextmanager
    def holding(self, run_id: str, epoch: int) -> Iterator[None]:
        """Work under the lease of this epoch: each transaction inside raises `LeaseLostError` once it was taken over.

        The check is part of the transaction and locks the run's row, so that a takeover waits for it, or it for that.
        """
        query = sa.select(_RUNS.c.epoch).where(_RUNS.c.id == run_id).with_for_update(read=True)

        def guard(connection: sa.Connection) -> None:
            now = connection.execute(query).scalar_one_or_none()
            if now != epoch:
                raise LeaseLostError(f"{run_id} was taken over: its epoch is {now}, not {epoch}")

        with self._database.guarded(guard):
            yield

    def still_held(self) -> None:
        """Raise `LeaseLostError` when the lease that this context works under was lost; asked before what no SQL undoes."""
        with self._database.hold():
            pass

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
