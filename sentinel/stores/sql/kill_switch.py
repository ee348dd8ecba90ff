"""The kill switch in SQL: one row, and a file that outweighs it. While it is on, no executor acts on anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sentinel import metrics
from sentinel.errors import RefusedError
from sentinel.safety import KillSwitch
from sentinel.stores.sql import tables
from sentinel.stores.sql.audit import AuditLog
from sentinel.stores.sql.database import Database

_SWITCH = tables.kill_switch
_ROW = "all"


class KillSwitchStore:
    """Read right before each call that acts; turned by API and command line. `now` is wall time in seconds.

    While `file` exists the switch is on, whatever the database says: a way to stop everything with nothing but `touch`.
    """

    def __init__(self, database: Database, audit: AuditLog, file: Path | None = None) -> None:
        self._database = database
        self._audit = audit
        self._file = file

    def read(self) -> KillSwitch:
        """How it stands now: one indexed row. Raises `TransientError` while the database is away: then nothing may act."""
        found = self._from_file() or self._stored()
        metrics.KILL_SWITCH.set(found.on)
        return found

    def turn(
        self,
        *,
        on: bool,
        actor: str,
        reason: str,
        now: float,
        details: dict[str, Any] | None = None,
        trace_id: str = "",
    ) -> KillSwitch:
        """Turn it, with its audit record, in one transaction; returns how it stands then (a file may keep it on).

        Raises `RefusedError` (rule `reason`) when nobody says why.
        """
        if not reason.strip():
            raise RefusedError("reason", "say why the kill switch is turned")
        row = {"name": _ROW, "on": int(on), "actor": actor, "reason": reason, "changed_at": now}
        with self._database.write():
            before = self._stored()
            self._database.insert_or_update(_SWITCH, row, ("name",))
            self._audit.append(
                actor=actor,
                action="kill_switch.on" if on else "kill_switch.off",
                target="kill_switch",
                reason=reason,
                at=now,
                details={**(details or {}), "before": {"on": before.on}, "after": {"on": on}},
                trace_id=trace_id,
            )
        return self.read()

    def _stored(self) -> KillSwitch:
        with self._database.read() as connection:
            row = connection.execute(sa.select(_SWITCH).where(_SWITCH.c.name == _ROW)).one_or_none()
        if row is None:
            return KillSwitch(on=False)
        return KillSwitch(on=bool(row.on), actor=row.actor, reason=row.reason, changed_at=row.changed_at)

    def _from_file(self) -> KillSwitch | None:
        if self._file is None:
            return None
        try:
            return KillSwitch(on=True, actor="file", reason=f"{self._file} exists") if self._file.exists() else None
        except OSError as error:
            # Whoever set the file up wanted it to count: one that cannot be looked at must not let actions through.
            return KillSwitch(on=True, actor="file", reason=f"{self._file} cannot be looked at: {error}")
