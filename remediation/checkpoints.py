"""Where runs are parked: LangGraph's SQLite saver beside the SQLite database, its Postgres saver for PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver

from sentinel.stores.sql.database import Database

SUFFIX = ".checkpoints"
"""Put behind the SQLite database's file name: the saver's own file, so that neither waits for the other's writes."""


@contextmanager
def open_checkpointer(database: Database) -> Iterator[BaseCheckpointSaver[str]]:
    """A checkpointer that belongs to the database, set up and ready; closed at the end of the context."""
    if not database.is_sqlite:
        url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with PostgresSaver.from_conn_string(url) as saver:
            saver.setup()
            yield saver
        return
    path = Path(f"{database.url.database}{SUFFIX}")
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, check_same_thread=False, timeout=10.0)
    try:
        # A parked run must survive power loss as its approval does; the saver itself turns WAL on.
        connection.execute("PRAGMA synchronous=FULL")
        saver_ = SqliteSaver(connection)
        saver_.setup()
        yield saver_
    finally:
        connection.close()
