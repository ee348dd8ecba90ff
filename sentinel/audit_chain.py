"""The audit's hash chain: every record holds the hash of the one before, so that no past can be changed unseen.

Pure: records in, a verdict out (`verify`, the one verifier: `sentinel audit verify`, the API and the demo call it). The
head of the chain is also kept outside the database, as it is (`sentinel.audit_anchor`) and signed
(`sentinel.audit_heads`); without that a chain that was cut at its end, or wholly rewritten, would look intact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sentinel.audit_heads import SignedHead, Trust, check_heads, covering, day_of
from sentinel.audit_verdict import AuditFault, AuditVerdict, Fault
from sentinel.canonical import digest

PRUNED = "audit.pruned"
"""The action of the record that accounts for dropped days; its details name the head that they end at."""

GENESIS = "0" * 64
"""The hash before the first record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One thing that was done, by whom, to what, and why.

    `seq` counts from 1 without gaps. `digest` is that of the plan or approval it is about, or empty. `details` holds
    plain JSON values. `at` is wall time in seconds. `previous` and `hash` are 64 hexadecimal digits.
    """

    seq: int
    at: float
    actor: str
    action: str
    target: str
    reason: str = ""
    digest: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    trace_id: str = ""
    previous: str = GENESIS
    hash: str = ""


@dataclass(frozen=True, slots=True)
class AnchoredHead:
    """The head of the chain as it was written down outside: the record `seq` had this hash."""

    seq: int
    hash: str
    at: float = 0.0


def record_hash(record: AuditRecord) -> str:
    """SHA-256 over the canonical JSON of everything in the record but `hash`; `previous` makes it a chain."""
    return digest(
        {
            "seq": record.seq,
            "at": float(record.at),
            "actor": record.actor,
            "action": record.action,
            "target": record.target,
            "reason": record.reason,
            "digest": record.digest,
            "details": record.details,
            "trace_id": record.trace_id,
            "previous": record.previous,
            "v": 1,
        }
    )


def verify(
    records: Iterable[AuditRecord],
    anchors: Iterable[AnchoredHead] = (),
    heads: Iterable[SignedHead] = (),
    trust: Trust | None = None,
    *,
    partial: bool = False,
) -> AuditVerdict:
    """Check a whole chain, in stored order, against the heads that were anchored outside, signed or not.

    Finds edit, delete, insert, reorder, truncation and, with `trust` (the public keys), heads of another key; names the
    first bad record and its day. A chain whose old days were dropped begins after a signed head, and holds a record
    that accounts for it; `partial` takes an excerpt as well, which begins after any signed head and may end before the
    last one. One pass over `records`, constant memory apart from the heads; about 6 us a record, 0.1 ms a signed head.
    """
    ordered, fault = check_heads(heads, trust) if trust else ([], None)
    walk = _Walk(anchors, ordered, partial=partial)
    if fault is None:
        fault = walk.through(records) or walk.end_fault()
    return AuditVerdict(
        ok=fault is None,
        records=walk.good - walk.starts_after,
        head_hash=walk.previous,
        unanchored=max(0, walk.good - walk.last_anchor),
        fault=fault.kind if fault else None,
        first_bad=fault.seq if fault else None,
        reason=fault.reason if fault else "",
        day=fault.day if fault else "",
        starts_after=walk.starts_after,
        heads=len(ordered),
        unsigned=max(0, walk.good - (ordered[-1].seq if ordered else 0)) if trust else None,
    )


class _Walk:
    """One pass over the records: how far it was good, and what was anchored on the way."""

    def __init__(self, anchors: Iterable[AnchoredHead], signed: Sequence[SignedHead], *, partial: bool) -> None:
        self._anchored: dict[int, set[str]] = {}
        for seq, hash_ in (*((a.seq, a.hash) for a in anchors), *((h.seq, h.hash) for h in signed)):
            self._anchored.setdefault(seq, set()).add(hash_)
        self._signed = signed
        self._partial = partial
        self._pruned: set[tuple[object, object]] = set()
        self.last_anchor = max(self._anchored, default=0)
        self.good, self.starts_after, self.previous = 0, 0, GENESIS
        self._begins = GENESIS

    def through(self, records: Iterable[AuditRecord]) -> Fault | None:
        """The first thing that is wrong with a record, or None."""
        begun = False
        for record in records:
            if not begun and record.seq > 1:
                self._begin_after(record.seq - 1)
            begun = True
            if fault := self._fault(record):
                return fault
            if record.action == PRUNED:
                self._pruned.add((record.details.get("seq"), record.details.get("hash")))
            self.good, self.previous = record.seq, record.hash
        return None

    def end_fault(self) -> Fault | None:
        """What is wrong with the chain as a whole."""
        if self.last_anchor > self.good and not self._partial:
            reason = (
                f"the chain ends at record {self.good}, but record {self.last_anchor} was anchored: the tail is cut"
            )
            return Fault(AuditFault.CUT, self.good + 1, self._day(self.good + 1), reason)
        if not self.starts_after or self._partial:
            return None
        if (self.starts_after, self._begins) not in self._pruned:
            reason = f"records 1 to {self.starts_after} are gone, and no record {PRUNED} accounts for it"
            return Fault(AuditFault.DROPPED, 1, self._day(1), reason)
        return None

    def _begin_after(self, seq: int) -> None:
        """Begin at a signed head where there is one; else the first record is missing, and is found to be."""
        head = next((one for one in self._signed if one.seq == seq and (one.closed or self._partial)), None)
        if head is not None:
            self.good, self.starts_after, self.previous, self._begins = head.seq, head.seq, head.hash, head.hash

    def _fault(self, record: AuditRecord) -> Fault | None:
        seq, expected, anchored = record.seq, self.good + 1, self._anchored.get(record.seq)
        kind, bad = None, seq
        if seq > expected:
            kind, bad = AuditFault.MISSING, expected
            reason = f"record {expected} is missing: the next one stored is {seq}"
        elif seq < expected:
            kind, reason = AuditFault.OUT_OF_ORDER, f"record {seq} stands where {expected} should"
        elif _hash_of(record) != record.hash:
            kind, reason = AuditFault.EDITED, f"the content of record {seq} does not give its hash"
        elif record.previous != self.previous:
            kind, reason = AuditFault.UNLINKED, f"record {seq} does not follow record {seq - 1}"
        elif anchored is not None and anchored != {record.hash}:
            kind, reason = AuditFault.REWRITTEN, f"record {seq} is not the one whose hash was anchored"
        else:
            return None
        return Fault(kind, bad, self._day(bad) or day_of(record.at), reason)

    def _day(self, seq: int) -> str:
        head = covering(self._signed, seq)
        return head.day if head else ""


def _hash_of(record: AuditRecord) -> str:
    """The record's hash; empty for content that no writer could have hashed (a time that is no number)."""
    try:
        return record_hash(record)
    except (TypeError, ValueError):
        return ""
