"""The two databases that every contract runs on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinel.stores.sql.database import Database
from sentinel.stores.sql.migrate import migrate
from sentinel.stores.sql.stores import SqlStores
from tests.contracts.sql.audit_world import AuditWorld, clear
from tests.services.postgres import PostgresServer


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow])])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/sentinel.db"
    return str(request.getfixturevalue("postgres_database"))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables: migrated once, copied for each test."""
    file = tmp_path_factory.mktemp("template") / "sentinel.db"
    database = Database(f"sqlite:///{file}")
    migrate(database)
    database.close()
    return file


@pytest.fixture
def database(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Database]:
    """A database with all tables."""
    if database_url.startswith("sqlite"):
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "sentinel.db")
    database = Database(database_url, pool_size=5)
    migrate(database)
    yield database
    database.close()


@pytest.fixture
def stores(database: Database, tmp_path: Path) -> SqlStores:
    """All stores, the audit with its anchor."""
    return SqlStores.over(database, tmp_path / "audit-anchor.jsonl")


@pytest.fixture(scope="module")
def postgres_audit(postgres_server: PostgresServer) -> Iterator[Database]:
    """One PostgreSQL database for all tests of a file: making one takes longer than any of them."""
    url = postgres_server.create_database()
    database = Database(url)
    migrate(database)
    yield database
    database.close()
    postgres_server.drop_database(url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow])])
def audit(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AuditWorld]:
    """An audit with its proof, empty."""
    if request.param == "postgres":
        database = request.getfixturevalue("postgres_audit")
        clear(database)
        yield AuditWorld(database, tmp_path)
        return
    shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "sentinel.db")
    database = Database(f"sqlite:///{tmp_path}/sentinel.db")
    yield AuditWorld(database, tmp_path)
    database.close()
