import shutil
import sqlite3

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from sentinel.stores.sql.database import Database
from sentinel.stores.sql.migrate import migrate
from tests.remediation.world import World


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """An empty SQLite database, migrated once for all tests."""
    folder = tmp_path_factory.mktemp("template")
    database = Database(f"sqlite:///{folder}/sentinel.db")
    migrate(database)
    database.close()
    return folder / "sentinel.db"


@pytest.fixture
def make_world(tmp_path, template):
    """Builds worlds over one new database; everything is closed at the end."""
    shutil.copy(template, tmp_path / "sentinel.db")
    database = Database(f"sqlite:///{tmp_path}/sentinel.db")
    connection = sqlite3.connect(tmp_path / "checkpoints.db", check_same_thread=False)
    yield lambda config=None, kind=World, **more: kind(database, lambda: SqliteSaver(connection), config, **more)
    connection.close()
    database.close()


@pytest.fixture
def world(make_world):
    return make_world()
