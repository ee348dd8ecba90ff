from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from sentinel.errors import ConfigError, PermanentError, TransientError
from sentinel.stores.sql import tables
from sentinel.stores.sql.database import Database, database_url
from sentinel.stores.sql.migrate import migrate, newest_revision
from tests.contracts.sql.samples import timeline_row
from tests.contracts.sql.threads import at_once

COUNT = sa.select(sa.func.count()).select_from(tables.timeline)


def insert(database: Database, row_id: str) -> None:
    row = {"row_id": row_id, "incident_id": "i", "at": 0.0, "document": "{}"}
    with database.write() as connection:
        connection.execute(sa.insert(tables.timeline).values(row))


def count(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(COUNT).scalar_one()


def test_migrations_make_exactly_the_tables_of_the_code(database):
    with database.read() as connection:
        context = MigrationContext.configure(connection)
        assert context.get_current_revision() == newest_revision() != ""
        assert compare_metadata(context, tables.metadata) == []


def test_several_processes_may_migrate_at_once(database_url):
    def start(_number):
        own = Database(database_url)
        migrate(own)
        own.close()

    assert at_once(6, start) == [None] * 6


def test_a_write_commits_as_a_whole_or_not_at_all(database):
    def two_rows_and_an_error():
        with database.write():
            insert(database, "a")
            insert(database, "b")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 raised by the test itself
        two_rows_and_an_error()
    assert count(database) == 0
    with database.write():
        insert(database, "a")
        with pytest.raises(PermanentError):
            insert(database, "a")
        insert(database, "b")
    assert count(database) == 2


def test_callbacks_run_after_the_commit_and_only_then(database):
    seen = []
    with database.write():
        with database.write():
            insert(database, "a")
            database.after_commit(lambda: seen.append(count(database)))
        assert seen == []
    assert seen == [1]

    def rolled_back():
        with database.write():
            database.after_commit(lambda: seen.append(-1))
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 raised by the test itself
        rolled_back()
    with database.write():
        with pytest.raises(ValueError):  # noqa: PT011 raised by the test itself
            rolled_back()
        insert(database, "b")
    assert seen == [1]
    assert count(database) == 2


def test_writers_with_the_same_lock_wait_for_one_another(database):
    def add_one(_number):
        with database.write() as connection:
            database.lock("counter")
            insert(database, f"row-{connection.execute(COUNT).scalar_one()}")

    at_once(8, add_one)
    assert count(database) == 8


def test_a_lock_outside_a_write_is_refused(database):
    with pytest.raises(PermanentError, match="outside"):
        database.lock("x")


def test_a_database_that_stays_locked_is_a_transient_error(database_url, database):
    impatient = Database(database_url, busy_timeout=0.2)
    holding, done = threading.Event(), threading.Event()

    def hold():
        with database.write() as connection:
            database.lock("x")
            connection.execute(COUNT)
            holding.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait(10)
    try:
        with pytest.raises(TransientError), impatient.write():
            impatient.lock("x")
    finally:
        done.set()
        thread.join()
        impatient.close()


def test_a_database_without_tables_is_a_permanent_error(database_url):
    empty = Database(database_url)
    with pytest.raises(PermanentError, match="timeline"):
        count(empty)
    empty.close()


def test_a_server_that_is_away_is_a_transient_error():
    away = Database("postgresql://nobody@127.0.0.1:9/none", busy_timeout=1.0)
    with pytest.raises(TransientError):
        away.check()


def test_the_url_of_sqlite_lies_below_the_state_folder():
    assert database_url(Path("/state"), "sqlite:///sentinel.db") == "sqlite:////state/sentinel.db"
    assert database_url(Path("/state"), "sqlite:////tmp/x.db") == "sqlite:////tmp/x.db"
    assert database_url(Path("/state"), "postgresql://u:p@h/d") == "postgresql://u:p@h/d"


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite://", "sqlite:///:memory:", "nonsense"])
def test_another_kind_of_url_is_refused_with_the_remedy(url):
    with pytest.raises(ConfigError, match="sqlite:///"):
        Database(url)


def test_timeline_rows_survive(stores):
    row = timeline_row(details={"text": "naïve ✓ \u0000", "n": 1.5})
    assert stores.runs.tell(row)
    assert stores.runs.timeline("inc-1") == [row]
