"""Choose the series history by its URL."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from sentinel.config import resolve
from sentinel.errors import ConfigError
from sentinel.stores.history.clickhouse import ClickHouseHistory
from sentinel.stores.history.connections import connect_path, connect_server
from sentinel.stores.history.settings import HistorySettings

_DATABASE = "sentinel"


def open_history(url: str, state_dir: Path, settings: HistorySettings | None = None) -> ClickHouseHistory:
    """Open `chdb://DIR` (relative to `state_dir`) in process, or point at `clickhouse://user:password@host:8123/database`.

    A path is opened at once, so that a second process learns here that it is owned (`StorePathBusyError`). A server is
    first contacted by the first call, so that Sentinel starts and works while it is away. `http://` and `https://` mean
    a server as well. The database is `sentinel` unless the URL names one. An unusable URL raises `ConfigError`.
    """
    settings = settings or HistorySettings()
    parts = urlsplit(url)
    if parts.scheme == "chdb":
        path = resolve(state_dir, parts.netloc + parts.path)
        if not parts.netloc + parts.path:
            raise ConfigError(f"stores.history: {url!r} names no directory; write chdb://history")
        history = ClickHouseHistory(partial(connect_path, path), _DATABASE, settings)
        history.check()
        return history
    if parts.scheme in {"clickhouse", "http", "https"}:
        return ClickHouseHistory(partial(connect_server, parts, settings), parts.path.strip("/") or _DATABASE, settings)
    raise ConfigError(
        f"stores.history: cannot use {url!r}; write chdb://DIR or clickhouse://user:password@host:8123/database"
    )
