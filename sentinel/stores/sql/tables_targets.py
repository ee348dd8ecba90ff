"""The table of leases on targets, on the same metadata as the others."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, Integer, String, Table

from sentinel.stores.sql.tables import metadata

target_leases = Table(
    "target_leases",
    metadata,
    Column("target", String, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("run_epoch", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("taken_at", Double, nullable=False),
    Index(None, "run_id"),
)
"""Which run may act on a target. `run_id` is empty while it is free; `epoch` never goes back. Written by the worker."""
