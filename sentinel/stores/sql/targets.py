"""Leases on targets: at most one run acts on a target, and each change of hands has a number that fences the last one off."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from sentinel.errors import LeaseLostError, RefusedError
from sentinel.runs import RunStatus
from sentinel.stores.sql import tables
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.tables_targets import target_leases

_LEASES = target_leases
_RUNS = tables.runs
_FINAL = [status.value for status in RunStatus if status.final]


class TargetLeases:
    """By the target's key. No clock decides who holds one; `now` is wall time, for people.

    A run holds its targets from its first intent until its attempt is recorded, whichever worker drives it; a run that
    has ended holds nothing.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, targets: Collection[str], *, run_id: str, run_epoch: int, now: float) -> dict[str, int]:
        """Take all of them or none; returns the epoch of each. Call it in the transaction of the intent.

        The epoch stays while the same driver of the same run asks again, and grows with every change of either.
        Raises `RefusedError` (rule `target_busy`) while another run holds one.
        """
        with self._database.write() as connection:
            # In one order, so that two runs that want the same targets do not wait for each other.
            for target in sorted(targets):
                self._database.lock(f"target:{target}")
            held = self.holders(targets)
            for target, holder in sorted(held.items()):
                if holder != run_id:
                    raise RefusedError("target_busy", f"{target} is in the hands of {holder}")
            for target in targets:
                first = {"target": target, "run_id": run_id, "run_epoch": run_epoch, "epoch": 1, "taken_at": now}
                if not self._database.insert_or_ignore(_LEASES, first):
                    same = sa.and_(_LEASES.c.run_id == run_id, _LEASES.c.run_epoch == run_epoch)
                    taken = {"run_id": run_id, "run_epoch": run_epoch, "epoch": _LEASES.c.epoch + 1, "taken_at": now}
                    mine = sa.update(_LEASES).where(_LEASES.c.target == target, sa.not_(same))
                    connection.execute(mine.values(**taken))
            query = sa.select(_LEASES.c.target, _LEASES.c.epoch).where(_LEASES.c.target.in_(list(targets)))
            return {row.target: row.epoch for row in connection.execute(query)}

    def holders(self, targets: Collection[str]) -> dict[str, str]:
        """The run that holds each of these targets; a target that is free is left out."""
        query = (
            sa.select(_LEASES.c.target, _LEASES.c.run_id)
            .join(_RUNS, _RUNS.c.id == _LEASES.c.run_id)
            .where(_LEASES.c.target.in_(list(targets)), _RUNS.c.status.not_in(_FINAL))
        )
        with self._database.read() as connection:
            return {row.target: row.run_id for row in connection.execute(query)}

    def check(self, target: str, *, run_id: str, epoch: int) -> None:
        """Raise `LeaseLostError` unless the run still holds the target under this epoch."""
        query = sa.select(_LEASES.c.run_id, _LEASES.c.epoch).where(_LEASES.c.target == target)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None or (row.run_id, row.epoch) != (run_id, epoch):
            raise LeaseLostError(f"{target} changed hands: {run_id} had epoch {epoch}")

    def release(self, run_id: str) -> None:
        """Give back everything that the run holds; call it in the transaction that ends its attempt."""
        statement = sa.update(_LEASES).where(_LEASES.c.run_id == run_id).values(run_id="", run_epoch=0)
        with self._database.write() as connection:
            connection.execute(statement)
