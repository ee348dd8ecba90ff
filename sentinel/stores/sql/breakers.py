"""Circuit breakers in SQL, and the results of actions that trip them. Written by the worker; people close them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa

from sentinel.errors import RefusedError
from sentinel.safety import GLOBAL, ActionResult, Breaker, check_scope
from sentinel.stores.sql import tables
from sentinel.stores.sql.audit import AuditLog
from sentinel.stores.sql.database import Database

_BREAKERS = tables.breakers
_RESULTS = tables.action_results


class BreakerStore:
    """Breakers by scope; one without a row is as new: open. `now` is wall time in seconds."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    def lock(self) -> None:
        """Within `Database.write`: wait for, then keep out, everyone else who changes breakers. Before the audit's lock."""
        self._database.lock("breakers")

    def find(self) -> list[Breaker]:
        """Every breaker that was ever moved, and the global one, in order of scope."""
        with self._database.read() as connection:
            rows = [_breaker(row) for row in connection.execute(sa.select(_BREAKERS).order_by(_BREAKERS.c.scope))]
        return rows if any(row.scope == GLOBAL for row in rows) else [Breaker(scope=GLOBAL), *rows]

    def of(self, scopes: Iterable[str]) -> dict[str, Breaker]:
        """The breakers of these scopes, each as it is."""
        wanted = list(scopes)
        with self._database.read() as connection:
            rows = connection.execute(sa.select(_BREAKERS).where(_BREAKERS.c.scope.in_(wanted))).all()
        found = {row.scope: _breaker(row) for row in rows}
        return {scope: found.get(scope, Breaker(scope=scope)) for scope in wanted}

    def close(
        self, scope: str, *, actor: str, reason: str, now: float, details: dict[str, Any] | None = None,
        trace_id: str = "",
    ) -> Breaker:  # fmt: skip
        """A person lets automatic actions through. What failed before does not count any more.

        Raises `RefusedError` (rule `scope` or `reason`).
        """
        check_scope(scope)
        if not reason.strip():
            raise RefusedError("reason", "say why the breaker is closed")
        breaker = Breaker(scope=scope, closed=True, counts_from=now, actor=actor, reason=reason, changed_at=now)
        with self._database.write():
            self.lock()
            self._store(breaker)
            self._tell("breaker.closed", breaker, details, trace_id)
        return breaker

    def trip(self, scope: str, *, until: float, reason: str, now: float, trace_id: str = "") -> Breaker:
        """Failures open it for everything, until it has cooled down."""
        breaker = Breaker(scope=scope, tripped_until=until, actor="worker", reason=reason, changed_at=now)
        with self._database.write():
            self.lock()
            self._store(breaker)
            self._tell("breaker.tripped", breaker, {"until": until}, trace_id)
        return breaker

    def recover(self, scope: str, *, reason: str, now: float, trace_id: str = "") -> Breaker:
        """A probe went well: approved actions pass again; automatic ones wait for a person."""
        breaker = Breaker(scope=scope, counts_from=now, actor="worker", reason=reason, changed_at=now)
        with self._database.write():
            self.lock()
            self._store(breaker)
            self._tell("breaker.recovered", breaker, None, trace_id)
        return breaker

    def claim_probe(self, scope: str, *, probe: str, until: float) -> None:
        """Let this attempt, and no other before `until`, try a half-open breaker."""
        self._change(scope, probe=probe, probe_until=until)

    def release_probes(self, probe: str) -> None:
        """The attempt proved nothing: another one may try."""
        statement = sa.update(_BREAKERS).where(_BREAKERS.c.probe == probe).values(probe="", probe_until=0.0)
        with self._database.write() as connection:
            self.lock()
            connection.execute(statement)

    def record(self, result: ActionResult) -> bool:
        """Keep how an action ended; False when that is known already: the first result stays."""
        return self._database.insert_or_ignore(_RESULTS, {**asdict(result), "ok": int(result.ok)})

    def results(self, since: float) -> list[ActionResult]:
        """Results at or after `since`, oldest first."""
        query = sa.select(_RESULTS).where(_RESULTS.c.at >= since).order_by(_RESULTS.c.at, _RESULTS.c.key)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [ActionResult(key=r.key, type=r.type, target=r.target, at=r.at, ok=bool(r.ok)) for r in rows]

    def _change(self, scope: str, **fields: Any) -> None:
        with self._database.write():
            self.lock()
            self._store(replace(self.of([scope])[scope], **fields))

    def _store(self, breaker: Breaker) -> None:
        self._database.insert_or_update(_BREAKERS, {**asdict(breaker), "closed": int(breaker.closed)}, ("scope",))

    def _tell(self, action: str, breaker: Breaker, details: dict[str, Any] | None, trace_id: str) -> None:
        self._audit.append(
            actor=breaker.actor,
            action=action,
            target=breaker.scope,
            reason=breaker.reason,
            at=breaker.changed_at,
            details=details,
            trace_id=trace_id,
        )


def _breaker(row: sa.Row[Any]) -> Breaker:
    return Breaker(**{**row._mapping, "closed": bool(row.closed)})  # noqa: SLF001 the public name of a row's dict
