"""Dropping old days of the audit, so that what is left is still proven: their signed head stays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from sentinel.audit_chain import PRUNED
from sentinel.errors import RefusedError
from sentinel.stores.sql import tables
from sentinel.stores.sql.audit import AuditLog
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.tables_audit import audit_retention


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was dropped: every record up to `seq`, the end of `day`; `records` of them."""

    day: str
    seq: int
    head: int
    records: int


class AuditRetention:
    """Drops whole days. Needs rights that the writing processes do not have on PostgreSQL."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    def prune(self, before: str, *, places: Collection[str], actor: str, now: float) -> Pruned | None:
        """Drop the records of all days before `before` (`2026-11-23`); None when there are none.

        Only up to a signed head that closes a day and has reached all `places` outside; the chain must hold, and a
        record `audit.pruned` accounts for what is gone, all in one transaction. Raises `RefusedError` (rule
        `retention`) with the reason.
        """
        head = self._audit.heads.last_closed_before(before)
        if head is None or head.seq <= self.pruned_up_to():
            return None
        if not places:
            raise RefusedError("retention", "no place outside keeps the signed heads: configure audit.anchors first")
        lacking = sorted(place for place in places if self._audit.heads.delivered(place) < head.number)
        if lacking:
            raise RefusedError("retention", f"head {head.number} of {head.day} has not reached {', '.join(lacking)}")
        verdict = self._audit.verify()
        if not verdict.ok:
            raise RefusedError("retention", f"the chain does not hold: {verdict.fault}: {verdict.reason}")
        with self._database.write() as connection:
            row = {"number": head.number, "seq": head.seq, "at": now}
            connection.execute(sa.insert(audit_retention).values(row))
            dropped = connection.execute(sa.delete(tables.audit).where(tables.audit.c.seq <= head.seq)).rowcount
            details = {"seq": head.seq, "hash": head.hash, "head": head.number, "day": head.day, "records": dropped}
            self._audit.append(
                actor=actor,
                action=PRUNED,
                target="audit",
                reason=f"records up to {head.seq}, the end of {head.day}, were dropped; its signed head stays",
                at=now,
                details=details,
            )
        return Pruned(day=head.day, seq=head.seq, head=head.number, records=dropped)

    def pruned_up_to(self) -> int:
        """The number of the last record that was dropped; 0 when none ever was."""
        query = sa.select(sa.func.max(audit_retention.c.seq))
        with self._database.read() as connection:
            return connection.execute(query).scalar_one_or_none() or 0
