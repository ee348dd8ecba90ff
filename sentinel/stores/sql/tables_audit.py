"""The tables of the audit's proof: signed heads, where they have arrived, and what the retention dropped."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Column, Double, ForeignKey, Index, Integer, String, Table, Text

from sentinel.stores.sql.tables import metadata

_BIG = sa.BigInteger().with_variant(Integer, "sqlite")

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("number", _BIG, primary_key=True, autoincrement=False),
    Column("seq", _BIG, nullable=False),
    Column("day", String, nullable=False),
    Column("closed", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "day"),
)
"""Append-only, like the audit itself. The copies outside the database are the proof; these are their outbox."""

audit_deliveries = Table(
    "audit_deliveries",
    metadata,
    Column("place", String, primary_key=True),
    Column("number", _BIG, nullable=False),
    Column("at", Double, nullable=False),
    Column("last_error", Text, nullable=False),
)
"""Up to which head each place outside has them all."""

audit_retention = Table(
    "audit_retention",
    metadata,
    Column("number", _BIG, ForeignKey("audit_heads.number"), primary_key=True, autoincrement=False),
    Column("seq", _BIG, nullable=False),
    Column("at", Double, nullable=False),
)
"""Append-only. Up to which record days may be dropped; the audit's trigger lets no other record be deleted."""
