"""Signed requests from outside that were seen: a signature counts once, and work that is done is not done again."""

from __future__ import annotations

import sqlalchemy as sa

from sentinel.stores.sql import tables
from sentinel.stores.sql.database import Database

KEEP = 3600.0
"""Seconds that a key is kept: longer than a signature is valid, and than the sender tries again."""

_SEEN = tables.seen_requests


class SeenRequests:
    """Keys that were seen, in all processes and across restarts. `now` is wall time in seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: str, *, now: float) -> bool:
        """Remember the key; True for the one caller that was first. Forgets keys older than `KEEP`."""
        with self._database.write() as connection:
            connection.execute(sa.delete(_SEEN).where(_SEEN.c.at < now - KEEP))
            return self._database.insert_or_ignore(_SEEN, {"key": key, "at": now})

    def has(self, key: str) -> bool:
        """Whether the key was added."""
        with self._database.read() as connection:
            return connection.execute(sa.select(_SEEN.c.key).where(_SEEN.c.key == key)).first() is not None
