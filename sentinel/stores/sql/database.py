"""One SQL database, SQLite or PostgreSQL by its URL: pooled connections, transactions, locks and plain errors."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine

from sentinel.config import resolve
from sentinel.errors import ConfigError, PermanentError, TransientError

_WRITE = "sentinel_write"
_SQLITE_TRANSIENT = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
# SQLSTATE: 08 connection, 40 rollback (deadlock), 53 out of resources, 55P03 lock time-out, 57 server going down.
_POSTGRES_TRANSIENT = ("08", "40", "53", "55P03", "57")

Guard = Callable[[Connection], None]
"""Raises when a transaction must not happen; what it reads it locks against change until the transaction's end."""

_GUARD: ContextVar[tuple[object, Guard] | None] = ContextVar("guard", default=None)


def database_url(state_dir: Path, value: str) -> str:
    """The URL with a relative SQLite path made absolute below `state_dir`; other URLs come back as they are.

    Raises `ConfigError` for a URL that cannot be read, another kind of database, or SQLite in memory (which several
    threads cannot share).
    """
    url = _parse(value)
    if url.get_backend_name() != "sqlite" or url.database is None:
        return value
    return url.set(database=str(resolve(state_dir, url.database))).render_as_string(hide_password=False)


def _parse(value: str) -> URL:
    try:
        url = sa.make_url(value)
    except exc.ArgumentError as error:
        raise ConfigError(
            f"stores.database: cannot read the URL ({error}); say sqlite:///FILE or postgresql://…"
        ) from error
    backend = url.get_backend_name()
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise ConfigError(f"stores.database: {backend!r} is not supported; say sqlite:///FILE or postgresql://…")
    if not url.database or url.database == ":memory:":
        raise ConfigError("stores.database: SQLite needs a file that several threads can open: sqlite:///sentinel.db")
    return url


@dataclass
class _Transaction:
    connection: Connection
    after_commit: list[Callable[[], None]] = field(default_factory=list)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        known = len(self.after_commit)
        try:
            with self.connection.begin_nested():
                yield
        except BaseException:
            # What was rolled back must not be told to anyone.
            del self.after_commit[known:]
            raise


class Database:
    """A pool of connections to one database; safe to share between threads. Nothing connects before the first use.

    SQLite runs with WAL, full synchronisation (a committed action survives power loss), foreign keys and a busy
    time-out; writers begin with BEGIN IMMEDIATE, so that a read inside a write is never overtaken. PostgreSQL runs READ
    COMMITTED with a lock time-out; what needs serial order takes `lock`.
    """

    def __init__(self, url: str, *, pool_size: int = 5, busy_timeout: float = 10.0) -> None:
        """Open nothing yet. `pool_size` connections stay open, as many again for peaks; `busy_timeout` in seconds."""
        self.url = _parse(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._engine = (
            _sqlite_engine(self.url, busy_timeout)
            if self.is_sqlite
            else _postgres_engine(self.url, pool_size, busy_timeout)
        )
        self._local = threading.local()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading; inside `write` of the same thread it is that transaction's connection."""
        current = self._current()
        if current is not None:
            with plain_errors():
                yield current.connection
            return
        with plain_errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end and rolls back on any exception.

        Inside another `write` of the same thread it is a savepoint of that one: stores compose, and the outermost block
        decides. Keep it short, and call nothing outside the database in it.
        """
        current = self._current()
        if current is not None:
            with plain_errors(), current.savepoint():
                yield current.connection
            return
        with plain_errors(), self._engine.connect() as connection:
            mine = _Transaction(connection.execution_options(**{_WRITE: True}))
            self._local.transaction = mine
            try:
                with connection.begin():
                    self._ask_guard(connection)
                    yield connection
            finally:
                self._local.transaction = None
        for callback in mine.after_commit:
            callback()

    @contextmanager
    def guarded(self, guard: Guard) -> Iterator[None]:
        """Inside this block every `write` asks `guard` first, in its own transaction; also in threads that copy the context.

        For work that is done under a lease: whoever lost it meanwhile can write nothing any more.
        """
        token = _GUARD.set((self, guard))
        try:
            yield
        finally:
            _GUARD.reset(token)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Ask the guard of this context, if there is one, and keep its answer true until the end of the block.

        For writes that go elsewhere. On SQLite, which has one process per database, the answer is only asked.
        """
        if _GUARD.get() is None:
            yield
            return
        with self.read() as connection:
            self._ask_guard(connection)
            yield

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the outermost `write` of this thread has committed; never when it rolls back."""
        current = self._current()
        if current is None:
            raise PermanentError("after_commit was called outside a write transaction")
        current.after_commit.append(callback)

    def lock(self, name: str) -> None:
        """Wait until no other transaction holds `name`; held until the end of this `write`.

        An advisory lock on PostgreSQL (needs no right on any table); SQLite's writers already wait for one another.
        """
        current = self._current()
        if current is None:
            raise PermanentError(f"the lock {name!r} was asked for outside a write transaction")
        if not self.is_sqlite:
            key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
            current.connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))

    def insert_or_ignore(self, table: sa.Table, values: dict[str, Any]) -> bool:
        """Insert one row unless its key is there already; True when this call inserted it. Atomic on both databases."""
        statement: Any = (sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)).values(**values)
        with self.write() as connection:
            # RETURNING instead of a row count: drivers do not agree on the count of an insert that did nothing.
            written = statement.on_conflict_do_nothing().returning(*table.primary_key)
            return connection.execute(written).first() is not None

    def insert_or_update(self, table: sa.Table, values: dict[str, Any], key: tuple[str, ...], newer: str = "") -> bool:
        """Insert one row, or update the one with the same `key`; True when the row was written.

        With `newer`, an existing row is only updated when that column grows.
        """
        statement: Any = (sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)).values(**values)
        where = statement.excluded[newer] > table.c[newer] if newer else None
        changed = {name: statement.excluded[name] for name in values if name not in key}
        statement = statement.on_conflict_do_update(index_elements=list(key), set_=changed, where=where)
        with self.write() as connection:
            return connection.execute(statement.returning(*table.primary_key)).first() is not None

    def check(self) -> None:
        """Return when the database answers; raise `TransientError` with the reason when it does not."""
        with self.read() as connection:
            connection.execute(sa.select(1))

    def close(self) -> None:
        """Close every pooled connection. The object may be used again afterwards: it connects anew."""
        self._engine.dispose()

    def _current(self) -> _Transaction | None:
        return getattr(self._local, "transaction", None)

    def _ask_guard(self, connection: Connection) -> None:
        guard = _GUARD.get()
        if guard is not None and guard[0] is self:
            guard[1](connection)


def _sqlite_engine(url: URL, busy_timeout: float) -> Engine:
    engine = sa.create_engine(url, connect_args={"timeout": busy_timeout, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        # The driver must not begin transactions by itself: it would begin deferred ones, and not before DDL.
        connection.isolation_level = None
        _use_wal(connection, busy_timeout)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        # So that REPLACE fires the triggers that keep the audit append-only.
        connection.execute("PRAGMA recursive_triggers=ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get(_WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _use_wal(connection: sqlite3.Connection, busy_timeout: float) -> None:
    """Switch to WAL. SQLite's own busy time-out does not cover two first connections that switch at the same time."""
    deadline = monotonic() + busy_timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if monotonic() >= deadline:
                raise
            sleep(0.01)


def _postgres_engine(url: URL, pool_size: int, busy_timeout: float) -> Engine:
    options = f"-c lock_timeout={int(busy_timeout * 1000)} -c timezone=UTC"
    return sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=busy_timeout,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args={"connect_timeout": 5, "options": options, "application_name": "sentinel"},
    )


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn SQLAlchemy's errors into `TransientError` (away, busy, deadlock) and `PermanentError` (all others)."""
    try:
        yield
    except exc.TimeoutError as error:
        raise TransientError(f"database: no free connection in the pool ({error})") from error
    except exc.DBAPIError as error:
        text = f"database: {str(error.orig).strip()}"
        if _is_transient(error):
            raise TransientError(text) from error
        raise PermanentError(text) from error


def _is_transient(error: exc.DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _SQLITE_TRANSIENT
    state = getattr(error.orig, "sqlstate", None)
    if state is None:  # the server never answered
        return isinstance(error, exc.OperationalError | exc.InterfaceError)
    return str(state).startswith(_POSTGRES_TRANSIENT)
