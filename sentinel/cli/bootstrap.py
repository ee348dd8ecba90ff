"""Choose the real things from the configuration: the one place that knows every room and every adapter.

Nothing here runs before it is called; what is opened belongs to the caller, who closes it (each `open_*` is a context).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sentinel import logs
from sentinel.archive import Archive
from sentinel.cli.settings import Settings
from sentinel.config import resolve
from sentinel.stores.history.opening import open_history
from sentinel.stores.history.protocol import SeriesHistory
from sentinel.stores.memory.opening import open_embedder, open_memory
from sentinel.stores.memory.protocol import IncidentMemory
from sentinel.stores.sql.database import Database, database_url
from sentinel.stores.sql.migrate import migrate
from sentinel.stores.sql.stores import SqlStores


def configure_logs(settings: Settings) -> None:
    """Set up this process's logs."""
    logs.configure(level=settings.logs.level, pretty=settings.logs.pretty)


@contextmanager
def history_of(settings: Settings) -> Iterator[SeriesHistory]:
    """The series history; `StorePathBusyError` when another process owns the embedded path."""
    with closing(open_history(settings.stores.history, settings.state, settings.history)) as history:
        yield history


@contextmanager
def memory_of(settings: Settings) -> Iterator[IncidentMemory]:
    """The incident memory; `StorePathBusyError` when another process owns the embedded path."""
    embedder = open_embedder(settings.stores.embedder)
    with closing(open_memory(settings.stores.memory, settings.state, embedder)) as memory:
        yield memory


@contextmanager
def sql_of(settings: Settings) -> Iterator[SqlStores]:
    """The SQL stores, brought to the newest schema."""
    database = Database(database_url(settings.state, settings.stores.database))
    with closing(SqlStores.over(database, anchor_of(settings))) as stores:
        migrate(database)
        yield stores


def anchor_of(settings: Settings) -> Path:
    """The file outside the database that keeps the heads of the audit chain."""
    return resolve(settings.state, settings.stores.audit_anchor)


def run_archive(settings: Settings, history: SeriesHistory, stop: threading.Event) -> None:
    """Copy telemetry and decisions into the history until `stop` is set."""
    Archive(settings.kafka, history, settings.archive, settings.telemetry).run(stop)
