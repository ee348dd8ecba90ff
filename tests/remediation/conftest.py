import sqlite3

import pytest

from tests.remediation.world import World, open_database


@pytest.fixture
def make_world(tmp_path):
    """Builds worlds over one new database; everything is closed at the end."""
    database = open_database(tmp_path)
    connection = sqlite3.connect(tmp_path / "checkpoints.db", check_same_thread=False)
    yield lambda config=None, **more: World(database, connection, config, **more)
    connection.close()
    database.close()


@pytest.fixture
def world(make_world):
    return make_world()
