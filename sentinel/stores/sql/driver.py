"""For libraries that bring their own SQL (LangGraph's checkpointers): pooled connections and plain errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from sentinel.errors import PermanentError, TransientError
from sentinel.stores.sql.database import Database

DictPool = ConnectionPool[psycopg.Connection[dict[str, Any]]]
"""A pool whose connections commit each statement and give rows as dicts."""


@contextmanager
def open_pool(database: Database, size: int) -> Iterator[DictPool]:
    """Up to `size` connections to the PostgreSQL database, checked before each use, closed at the end.

    A server that went away and came back is noticed by the check: the caller sees one `TransientError` at most.
    Raises `TransientError` when the server does not answer within ten seconds.
    """
    url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    pool: DictPool = ConnectionPool(
        url,
        connection_class=psycopg.Connection[dict[str, Any]],
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
        min_size=1,
        max_size=size,
        check=ConnectionPool.check_connection,
        timeout=10.0,
        open=False,
    )
    with driver_errors():
        pool.open(wait=True, timeout=10.0)
    try:
        yield pool
    finally:
        pool.close()


@contextmanager
def driver_errors() -> Iterator[None]:
    """Turn the drivers' own errors into `TransientError` (away, busy) and `PermanentError` (all others)."""
    try:
        yield
    except (sqlite3.OperationalError, psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise TransientError(f"database: {str(error).strip()}") from error
    except (sqlite3.Error, psycopg.Error) as error:
        raise PermanentError(f"database: {str(error).strip()}") from error
