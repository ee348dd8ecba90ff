"""The tables of the notification queues, on the same metadata as all others."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Column, Double, Index, Integer, String, Table, Text

from sentinel.stores.sql.tables import metadata

notifications = Table(
    "notifications",
    metadata,
    Column("seq", sa.BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("destination", String, nullable=False),
    Column("incident_id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("urgent", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("takes", Integer, nullable=False, server_default="0"),
    Column("due_at", Double, nullable=False),
    Column("lease_until", Double, nullable=False, server_default="0"),
    Column("created_at", Double, nullable=False),
    Column("finished_at", Double, nullable=False, server_default="0"),
    Column("last_error", Text, nullable=False, server_default=""),
    Column("document", Text, nullable=False),
    Index(None, "destination", "state", "incident_id", "seq"),
    Index(None, "incident_id", "destination"),
    Index(None, "state", "finished_at"),
)
"""One row per event and destination; `seq` is the order within an incident. See `notifications.py`."""

notification_pauses = Table(
    "notification_pauses",
    metadata,
    Column("destination", String, primary_key=True),
    Column("until", Double, nullable=False),
)
"""Destinations that asked for a pause (`Retry-After`): kept here, so that every worker and the next start honour it."""
