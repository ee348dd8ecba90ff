"""Where runs are parked: LangGraph's SQLite saver beside the SQLite database, its Postgres saver for PostgreSQL."""

from __future__ import annotations

import fcntl
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver

from sentinel.errors import PermanentError, StorePathBusyError, TransientError
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.driver import driver_errors, open_pool

SUFFIX = ".checkpoints"
"""Put behind the SQLite database's file name: the saver's own file, so that neither waits for the other's writes."""

SETUP_PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds before the checkpoints' tables are looked for again, when another worker was creating them."""

POOL_SIZE = 4
"""Connections to PostgreSQL for checkpoints. The saver takes them one at a time; the others replace broken ones."""


class _Fenced(BaseCheckpointSaver[str]):
    """Writes nothing for a worker that lost the lease of its run: its older view must not become the newest checkpoint."""

    database: Database

    def put(self, *args: Any, **kwargs: Any) -> RunnableConfig:
        with self.database.hold():
            return super().put(*args, **kwargs)

    def put_writes(self, *args: Any, **kwargs: Any) -> None:
        with self.database.hold():
            super().put_writes(*args, **kwargs)


class _FencedSqliteSaver(_Fenced, SqliteSaver):
    pass


class _FencedPostgresSaver(_Fenced, PostgresSaver):
    pass


def worker_name(database: Database) -> str:
    """The name under which a worker holds leases.

    With SQLite there is one worker (`open_checkpointer` sees to it), so that after a crash the next one need not wait
    for leases to run out. With PostgreSQL the name is unique to this process.
    """
    return "worker" if database.is_sqlite else f"{socket.gethostname()}:{os.getpid()}"


@contextmanager
def open_checkpointer(database: Database) -> Iterator[BaseCheckpointSaver[str]]:
    """A checkpointer that belongs to the database, set up and ready; closed at the end of the context.

    Raises `StorePathBusyError` when another worker has the SQLite file, `TransientError` while PostgreSQL is away.
    """
    if not database.is_sqlite:
        with open_pool(database, POOL_SIZE) as pool:
            saver = _FencedPostgresSaver(pool)
            saver.database = database
            _set_up(saver)
            yield saver
        return
    path = Path(f"{database.url.database}{SUFFIX}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _sole_owner(path):
        connection = sqlite3.connect(path, check_same_thread=False, timeout=10.0)
        try:
            # A parked run must survive power loss as its approval does; the saver itself turns WAL on.
            connection.execute("PRAGMA synchronous=FULL")
            sqlite_saver = _FencedSqliteSaver(connection)
            sqlite_saver.database = database
            sqlite_saver.setup()
            yield sqlite_saver
        finally:
            connection.close()


def _set_up(saver: PostgresSaver) -> None:
    """Create the saver's tables. Of two workers that start at once on a new database one fails, and finds them next time.

    No lock: the saver builds indices concurrently, and those wait for whoever waits for a lock.
    """
    for pause in SETUP_PAUSES:
        try:
            with driver_errors():
                saver.setup()
        except (PermanentError, TransientError):
            sleep(pause)
        else:
            return
    with driver_errors():
        saver.setup()


@contextmanager
def _sole_owner(path: Path) -> Iterator[None]:
    """Hold a lock file beside `path`; the system drops it when the process ends, however it ends."""
    with Path(f"{path}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            text = f"{path} is owned by another worker; stop it, or set stores.database to a postgresql:// URL"
            raise StorePathBusyError(text) from error
        yield
