"""The audit log in SQL: append-only, one chain, without gaps whoever writes at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from sentinel import metrics
from sentinel.audit_anchor import AnchorFile
from sentinel.audit_chain import GENESIS, AnchoredHead, AuditRecord, record_hash, verify
from sentinel.audit_proof import Proof
from sentinel.audit_verdict import AuditVerdict
from sentinel.canonical import plain
from sentinel.errors import PermanentError, TransientError
from sentinel.logs import get_logger
from sentinel.paging import Page, make_cursor, read_cursor
from sentinel.stores.sql import tables
from sentinel.stores.sql.audit_heads import HeadStore
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.documents import from_document, to_document

_AUDIT = tables.audit
_BATCH = 1000

log = get_logger("audit")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which records; an unset field matches all. `since` and `until` bound `at` (wall time, seconds)."""

    actor: str = ""
    action: str = ""
    target: str = ""
    since: float | None = None
    until: float | None = None


class AuditLog:
    """The chain of audit records. With an `anchor`, each committed head is also written outside the database.

    `proof` is asked for the trusted keys and the signed heads outside, each time the chain is verified.
    """

    def __init__(
        self,
        database: Database,
        anchor: AnchorFile | None = None,
        proof: Callable[[], Proof | None] = lambda: None,
    ) -> None:
        self._database = database
        self._anchor = anchor
        self._proof = proof
        self.heads = HeadStore(database)
        """The signed heads."""
        self.anchor_error = ""
        """Why the last head could not be anchored; empty when it was. The next head makes up for it."""

    def append(
        self,
        *,
        actor: str,
        action: str,
        target: str,
        at: float,
        reason: str = "",
        digest: str = "",
        details: dict[str, Any] | None = None,
        trace_id: str = "",
    ) -> AuditRecord:
        """Add one record at the head. Inside `Database.write` it commits or vanishes with the rest of it.

        Writers wait for one another from here to the end of the transaction: append last.
        """
        with self._database.write() as connection:
            self._database.lock("audit")
            head = self.head()
            record = AuditRecord(
                seq=head.seq + 1,
                at=float(at),
                actor=_clean(actor),
                action=_clean(action),
                target=_clean(target),
                reason=_clean(reason),
                digest=_clean(digest),
                details=plain(details or {}),
                trace_id=_clean(trace_id),
                previous=head.hash,
            )
            record = replace(record, hash=record_hash(record))
            row = {name: getattr(record, name) for name in _AUDIT.c.keys()}  # noqa: SIM118 a collection, not a dict
            connection.execute(sa.insert(_AUDIT).values({**row, "details": to_document(record.details)}))
            self._database.after_commit(lambda: self._anchor_head(record))
        return record

    def head(self) -> AnchoredHead:
        """Number and hash of the last record; number 0 and the genesis hash when there is none."""
        query = sa.select(_AUDIT.c.seq, _AUDIT.c.hash, _AUDIT.c.at).order_by(_AUDIT.c.seq.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return AnchoredHead(0, GENESIS) if row is None else AnchoredHead(row.seq, row.hash, row.at)

    def records(self, only: AuditFilter = AuditFilter()) -> Iterator[AuditRecord]:
        """Every record that matches, oldest first, read in batches so that no transaction stays open."""
        last = None
        while True:
            query = _where(sa.select(_AUDIT), only).order_by(_AUDIT.c.seq).limit(_BATCH)
            if last is not None:
                query = query.where(_AUDIT.c.seq > last)
            with self._database.read() as connection:
                batch = [_record(row) for row in connection.execute(query)]
            yield from batch
            if len(batch) < _BATCH:
                return
            last = batch[-1].seq

    def find(self, only: AuditFilter = AuditFilter(), *, cursor: str = "", limit: int = 50) -> Page[AuditRecord]:
        """Records that match, newest first; `cursor` is an earlier page's `next_cursor`."""
        query = _where(sa.select(_AUDIT), only).order_by(_AUDIT.c.seq.desc()).limit(limit + 1)
        if cursor:
            query = query.where(_AUDIT.c.seq < read_cursor(cursor)[0])
        with self._database.read() as connection:
            found = [_record(row) for row in connection.execute(query)]
        more = len(found) > limit
        found = found[:limit]
        return Page(tuple(found), make_cursor(found[-1].seq, "audit") if more else "")

    def verify(self) -> AuditVerdict:
        """Check the whole chain against the anchor file and the signed heads, those of the database included.

        Reads them first: newer records are then no fault. About 15 us a record.
        """
        anchors = self._anchor.read() if self._anchor else []
        proof = self._proof()
        if proof is None:
            return verify(self.records(), anchors)
        proof = proof.with_heads(self.heads.all())
        return verify(self.records(), anchors, proof.heads, proof.trust)

    def check_anchor(self) -> None:
        """Return when the last head of this process was anchored; raise `TransientError` with the reason when not."""
        if self.anchor_error:
            raise TransientError(f"the audit's last head is not anchored outside: {self.anchor_error}")

    def _anchor_head(self, record: AuditRecord) -> None:
        if self._anchor is None:
            return
        try:
            self._anchor.append(AnchoredHead(record.seq, record.hash, record.at))
            self.anchor_error = ""
        except OSError as error:
            # The record is committed: failing the caller now would claim the opposite. Health shows the error.
            self.anchor_error = str(error)
            metrics.AUDIT_ANCHOR_FAILURES.inc()
            log.error("audit_anchor_failed", seq=record.seq, path=str(self._anchor.path), error=str(error))  # noqa: TRY400


def _where(query: sa.Select[Any], only: AuditFilter) -> sa.Select[Any]:
    for name in ("actor", "action", "target"):
        if wanted := getattr(only, name):
            query = query.where(_AUDIT.c[name] == wanted)
    if only.since is not None:
        query = query.where(_AUDIT.c.at >= only.since)
    if only.until is not None:
        query = query.where(_AUDIT.c.at < only.until)
    return query


def _record(row: sa.Row[Any]) -> AuditRecord:
    try:
        details = from_document(row.details, dict[str, Any])
    except PermanentError:
        # Somebody changed it by hand: the verifier says where, so reading must not stop here.
        details = {"unreadable": str(row.details)}
    return AuditRecord(**{**row._mapping, "details": details})  # noqa: SLF001 the public name of a row's dict


def _clean(text: str) -> str:
    """PostgreSQL's text cannot hold NUL: it becomes U+FFFD before it is hashed."""
    return text.replace("\x00", "\ufffd")
