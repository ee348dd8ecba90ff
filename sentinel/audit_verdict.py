"""What the verifier of the audit says: whether the chain holds, and if not, what is wrong and where. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AuditFault(StrEnum):
    """What is wrong with a chain, or with the signed heads that it is held against."""

    EDITED = "edited"
    """A record's content does not give its hash."""
    MISSING = "missing"
    """A number is left out: one or more records were deleted."""
    OUT_OF_ORDER = "out_of_order"
    """A number comes twice or goes back: records were inserted or moved."""
    UNLINKED = "unlinked"
    """A record does not hold the hash of the one before it."""
    REWRITTEN = "rewritten"
    """The chain is consistent, but not with what was anchored: it was computed anew."""
    CUT = "cut"
    """The chain ends before the anchored head."""
    DROPPED = "dropped"
    """The oldest records are gone, and no signed head together with a record of the retention accounts for it."""
    REKEYED = "rekeyed"
    """A head is signed by a key that is not trusted."""
    FORGED = "forged"
    """A head's signature is not that of its content."""
    HEAD_MISSING = "head_missing"
    """A signed head is left out, or does not follow the one before it."""
    HEADS_DISAGREE = "heads_disagree"
    """Two heads with the same number say different things: somebody else signs with the same key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditVerdict:
    """Whether the chain holds. `first_bad` is the number of the first bad or missing record, None when it holds.

    `day` is the UTC day (`2026-11-23`) of that place, as far as it is known. `records` is how many were good, after
    record `starts_after` (0 unless old days were dropped). `unanchored`: how many of them come after the last head that
    was written down outside; `unsigned`: after the last signed one, None where no signed heads were given. `heads`: how
    many signed heads were good.
    """

    ok: bool
    records: int
    head_hash: str
    unanchored: int
    fault: AuditFault | None = None
    first_bad: int | None = None
    reason: str = ""
    day: str = ""
    starts_after: int = 0
    heads: int = 0
    unsigned: int | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: its kind, the record's number, the day, and a sentence."""

    kind: AuditFault
    seq: int
    day: str
    reason: str
