"""The tables of what runs decided, and from what."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, Integer, String, Table, Text, UniqueConstraint

from sentinel.stores.sql.tables import metadata

contents = Table(
    "contents",
    metadata,
    Column("digest", String, primary_key=True),
    Column("document", Text, nullable=False),
)
"""Canonical JSON under its own digest, each value once."""

steps = Table(
    "steps",
    metadata,
    Column("id", String, primary_key=True),
    Column("incident_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("step", String, nullable=False),
    Column("at", Double, nullable=False),
    Column("ground", String, nullable=False),
    Column("inputs", Text, nullable=False),
    Column("output", String, nullable=False),
    UniqueConstraint("run_id", "number"),
    Index(None, "incident_id"),
)
"""One row for each step of a run; see `sentinel.steps`."""
