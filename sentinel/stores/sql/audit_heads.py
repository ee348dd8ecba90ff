"""Signed heads in SQL: made one after the other whoever signs at the same time, and an outbox for the places outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sentinel.audit_heads import NO_HEAD, SignedHead, Signer, day_end, day_of, head_digest, sign_head
from sentinel.stores.sql import tables
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.documents import from_document, to_document
from sentinel.stores.sql.tables_audit import audit_deliveries, audit_heads

_AUDIT = tables.audit


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How far a place outside has come: it has every head up to `number`, the last since `at` (wall seconds).

    `owed_since` is when the oldest head that it does not have was signed, None when it has them all. `last_error` is
    empty after a success.
    """

    place: str
    number: int
    at: float
    last_error: str
    owed_since: float | None


class HeadStore:
    """The signed heads and their way outside. `now` is wall time in seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sign_due(self, signer: Signer, *, now: float, every: float, grace: float) -> list[SignedHead]:
        """Sign what is due: a head for each day that is over, and one for today's records `every` seconds after the last.

        A day is over `grace` seconds after its end. Several processes may call this at the same time: one signs.
        """
        signed: list[SignedHead] = []
        if self._due(self.last(), now, every, grace) is None:
            return signed
        with self._database.write() as connection:
            self._database.lock("audit-heads")
            while (head := self._due(self.last(), now, every, grace)) is not None:
                head = sign_head(head, signer)
                row = {"number": head.number, "seq": head.seq, "day": head.day, "closed": int(head.closed)}
                connection.execute(sa.insert(audit_heads).values(**row, at=head.at, document=to_document(head)))
                signed.append(head)
        return signed

    def last(self) -> SignedHead | None:
        """The newest head, or None."""
        found = self._find(sa.select(audit_heads.c.document).order_by(audit_heads.c.number.desc()).limit(1))
        return found[0] if found else None

    def after(self, number: int, limit: int = 100) -> list[SignedHead]:
        """Heads after `number`, in their order."""
        query = sa.select(audit_heads.c.document).where(audit_heads.c.number > number)
        return self._find(query.order_by(audit_heads.c.number).limit(limit))

    def all(self) -> list[SignedHead]:
        """Every head, in their order."""
        return self._find(sa.select(audit_heads.c.document).order_by(audit_heads.c.number))

    def last_closed_before(self, day: str) -> SignedHead | None:
        """The newest head that closes a day before `day` (`2026-11-23`)."""
        query = sa.select(audit_heads.c.document).where(audit_heads.c.closed == 1, audit_heads.c.day < day)
        found = self._find(query.order_by(audit_heads.c.number.desc()).limit(1))
        return found[0] if found else None

    def delivered(self, place: str) -> int:
        """The number of the last head that `place` has; 0 when it has none."""
        query = sa.select(audit_deliveries.c.number).where(audit_deliveries.c.place == place)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one_or_none() or 0

    def note_delivery(self, place: str, number: int, *, now: float, error: str = "") -> None:
        """`place` has every head up to `number`, or could not take the next one because of `error`."""
        row = {"place": place, "number": number, "at": now, "last_error": error}
        self._database.insert_or_update(audit_deliveries, row, ("place",))

    def deliveries(self) -> list[Delivery]:
        """How far every place that was ever written to has come."""
        table = audit_deliveries
        owed = sa.select(sa.func.min(audit_heads.c.at)).where(audit_heads.c.number > table.c.number).scalar_subquery()
        query = sa.select(table.c.place, table.c.number, table.c.at, table.c.last_error, owed).order_by(table.c.place)
        with self._database.read() as connection:
            return [
                Delivery(place=place, number=number, at=at, last_error=error, owed_since=since)
                for place, number, at, error, since in connection.execute(query)
            ]

    def unsigned_since(self) -> float | None:
        """Wall time of the oldest record after the last head; None when all are signed, or nothing ever was."""
        last = self.last()
        if last is None:
            return None
        query = sa.select(_AUDIT.c.at).where(_AUDIT.c.seq > last.seq).order_by(_AUDIT.c.seq).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one_or_none()

    def _due(self, last: SignedHead | None, now: float, every: float, grace: float) -> SignedHead | None:
        """The next head without its signature, or None while none is due."""
        seq = last.seq if last else 0
        if last and not last.closed and now >= day_end(last.day) + grace:
            return self._next(last, last.day, self._newest(day_end(last.day)) or (seq, last.hash), now, closed=True)
        oldest = self._oldest_after(seq)
        if oldest is None:
            return None
        # A writer's clock may be wrong: days never go back, and never lie ahead.
        day = (
            last.day
            if last and not last.closed
            else max(min(day_of(oldest) or day_of(now), day_of(now)), last.day if last else "")
        )
        if now >= day_end(day) + grace:
            return self._next(last, day, self._newest(day_end(day)), now, closed=True)
        if last and not last.closed and now < last.at + every:
            return None
        return self._next(last, day, self._newest(), now, closed=False)

    def _next(
        self, last: SignedHead | None, day: str, newest: tuple[int, str] | None, now: float, *, closed: bool
    ) -> SignedHead:
        """The head up to `newest`, never behind the one before it (a writer's clock may be ahead)."""
        before = (last.seq, last.hash) if last else (0, "")
        seq, hash_ = max(newest or before, before)
        first = last.first if last and not last.closed else before[0] + 1
        return SignedHead(
            number=last.number + 1 if last else 1,
            day=day,
            closed=closed,
            first=first,
            seq=seq,
            hash=hash_,
            at=now,
            previous=head_digest(last) if last else NO_HEAD,
            key="",
        )

    def _newest(self, before: float | None = None) -> tuple[int, str] | None:
        """Number and hash of the last record, or of the last one that was written before a time."""
        query = sa.select(_AUDIT.c.seq, _AUDIT.c.hash).order_by(_AUDIT.c.seq.desc()).limit(1)
        if before is not None:
            query = query.where(_AUDIT.c.at < before)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else (row.seq, row.hash)

    def _oldest_after(self, seq: int) -> float | None:
        query = sa.select(_AUDIT.c.at).where(_AUDIT.c.seq > seq).order_by(_AUDIT.c.seq).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one_or_none()

    def _find(self, query: sa.Select[Any]) -> list[SignedHead]:
        with self._database.read() as connection:
            return [from_document(text, SignedHead) for text in connection.execute(query).scalars()]
