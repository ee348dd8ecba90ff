"""Tables of what people do to cards, and of the pictures on them. On the same metadata as `tables.py`."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, Integer, String, Table

from sentinel.stores.sql.tables import metadata

snoozes = Table(
    "snoozes",
    metadata,
    Column("request_id", String, primary_key=True),
    Column("incident_id", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("at", Double, nullable=False),
    Column("until", Double, nullable=False),
    Column("woken", Integer, nullable=False, server_default="0"),
    Index(None, "woken", "until"),
)
"""The last snooze of each question; `woken` is 1 once its card was told that it is over."""

card_pictures = Table(
    "card_pictures",
    metadata,
    Column("destination", String, primary_key=True),
    Column("incident_id", String, primary_key=True),
    Column("moment", String, nullable=False),
    Column("file", String, nullable=False, server_default=""),
    Column("upload", String, nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("settled", Integer, nullable=False, server_default="0"),
)
"""The picture on each card: which state of the incident it shows (`moment`), and its id there. See `card_pictures.py`."""
