"""The two databases that every contract runs on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinel.stores.sql.database import Database
from sentinel.stores.sql.migrate import migrate
from sentinel.stores.sql.stores import SqlStores


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow])])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/sentinel.db"
    return str(request.getfixturevalue("postgres_database"))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with all tables."""
    database = Database(database_url, pool_size=5)
    migrate(database)
    yield database
    database.close()


@pytest.fixture
def stores(database: Database, tmp_path: Path) -> SqlStores:
    """All stores, the audit with its anchor."""
    return SqlStores.over(database, tmp_path / "audit-anchor.jsonl")
