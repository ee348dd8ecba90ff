"""A ClickHouse client: in this process over a path (chdb), or to a server over HTTP. The only place that knows which.

Never fork a process after it opened a chdb path: the child hangs in the engine's locks. Spawn instead.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from urllib.parse import SplitResult, unquote

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ProgrammingError
from clickhouse_connect.driver.httputil import get_pool_manager

from sentinel.errors import ConfigError, PermanentError, StorePathBusyError
from sentinel.stores.history.settings import HistorySettings

_SESSION = {
    # One block may hold events of many months (a replay); the default of 100 partitions would refuse it for ever.
    "max_partitions_per_insert_block": 0,
}


def connect_path(path: Path) -> Client:
    """Open ClickHouse in this process over the directory `path`, which is created when it is missing.

    One process owns a path, and a process holds one path; clients of the same path in one process share the engine.
    Raises `StorePathBusyError` when another process owns it and `PermanentError` when it cannot be opened.
    """
    path.mkdir(parents=True, exist_ok=True)
    try:
        return clickhouse_connect.get_client(interface="chdb", path=str(path), settings=_SESSION)
    except ModuleNotFoundError as error:
        raise ConfigError(
            "stores.history: ClickHouse in process needs the package chdb-core-lite: install `aiops-sentinel[embedded]`,"
            " or use a server: clickhouse://user:password@host:8123/database"
        ) from error
    except ProgrammingError as error:
        owner = _other_owner(path)
        if owner is not None:
            raise StorePathBusyError(
                f"stores.history: {path} is owned by another process ({owner}). Stop it, or let both use a server: set"
                " stores.history to clickhouse://user:password@host:8123/database (compose.yaml starts the servers)."
                " While it runs, the command line reads through its API."
            ) from error
        raise PermanentError(f"stores.history: cannot open {path}: {error}") from error


def connect_server(url: SplitResult, settings: HistorySettings) -> Client:
    """Connect to a server at `clickhouse://`, `http://` or `https://user:password@host:port`; connections are pooled.

    The client has no session, so that threads can share it. Raises the driver's errors.
    """
    secure = url.scheme == "https"
    return clickhouse_connect.get_client(
        interface="https" if secure else "http",
        host=url.hostname or "localhost",
        port=url.port or (8443 if secure else 8123),
        username=unquote(url.username or "default"),
        password=unquote(url.password or ""),
        settings=_SESSION,
        pool_mgr=get_pool_manager(maxsize=settings.pool_size),
        connect_timeout=settings.connect_seconds,
        send_receive_timeout=settings.query_seconds,
        query_retries=0,
        autogenerate_session_id=False,
        client_name="sentinel",
    )


def _other_owner(path: Path) -> str | None:
    """Who holds the engine's lock on `path`: its status file's first line (`PID: 123`), or None when nobody does."""
    try:
        with (path / "status").open() as status:
            try:
                fcntl.flock(status, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return status.readline().strip() or "unknown"
    except FileNotFoundError:
        return None
    return None
