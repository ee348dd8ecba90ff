"""Bring a database to the newest schema: run at the start of every process, safe when several start at once."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from sentinel.stores.sql.database import Database

_SCRIPTS = Path(__file__).parent / "migrations"


def migrate(database: Database) -> None:
    """Apply the migrations that the database does not have, all in one transaction under one lock.

    Makes the SQLite file's folder. Raises `TransientError` while the database is away.
    """
    if database.is_sqlite and database.url.database:
        Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
    config = _config()
    with database.write() as connection:
        database.lock("migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def newest_revision() -> str:
    """The revision that this release's migrations end at."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config
