"""On PostgreSQL the writing role may add to the audit and read it; the database refuses it everything else."""

from __future__ import annotations

import psycopg
import pytest
import sqlalchemy as sa

from remediation.checkpoints import open_checkpointer
from sentinel.errors import ConfigError, PermanentError
from sentinel.stores.sql.audit_grants import writer_grants
from sentinel.stores.sql.audit_retention import AuditRetention
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.migrate import migrate
from sentinel.stores.sql.stores import SqlStores
from tests.contracts.sql import samples
from tests.contracts.sql.audit_world import DAYS, AuditWorld, clear

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
ROLE = "sentinel_writer"


@pytest.fixture(scope="module")
def owned(postgres_server):
    """A migrated database of its owner, and the same as the writing role sees it."""
    url = postgres_server.create_database()
    owner = Database(url)
    migrate(owner)
    with open_checkpointer(owner):
        pass
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("drop role if exists sentinel_writer")
        connection.execute("create role sentinel_writer login")
        for statement in writer_grants(ROLE, worker=True):
            connection.execute(statement)
    writer = Database(url.replace("sentinel@", f"{ROLE}@"))
    yield owner, writer
    writer.close()
    owner.close()
    postgres_server.drop_database(url)
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute("drop role sentinel_writer")


def test_the_writing_role_does_all_that_a_process_does(owned, tmp_path):
    _, writer = owned
    migrate(writer)
    with open_checkpointer(writer):
        pass
    stores = SqlStores.over(writer, tmp_path / "anchor.jsonl")
    stores.incidents.upsert(samples.incident())
    stores.runs.start(samples.run())
    stores.approvals.create(samples.request())
    stores.kill_switch.turn(on=True, actor="ann", reason="x", now=1.0)
    audit = AuditWorld(writer, tmp_path).live()
    verdict = audit.log.verify()
    assert (verdict.ok, verdict.unsigned) == (True, 0)


@pytest.mark.parametrize(
    "statement",
    [
        "update audit set actor = 'nobody'",
        "delete from audit",
        "truncate audit",
        "update audit_heads set seq = 1",
        "delete from audit_heads",
        "truncate audit_heads cascade",
        "insert into audit_retention values (1, 1, 0)",
        "delete from audit_retention",
        "drop table audit",
        "alter table audit disable trigger all",
        "drop trigger audit_no_change on audit",
        "create or replace function audit_append_only() returns trigger language plpgsql as 'begin return old; end'",
        "create trigger mine before insert on audit for each row execute function audit_append_only()",
        "set session_replication_role = replica",
        "update alembic_version set version_num = '0001'",
    ],
)
def test_the_writing_role_is_refused_the_rest(owned, statement):
    _, writer = owned
    with pytest.raises(PermanentError, match=r"permission denied|must be owner"), writer.write() as connection:
        connection.execute(sa.text(statement))


def test_the_writing_role_cannot_drop_days_and_the_owner_can(owned, tmp_path):
    owner, writer = owned
    clear(owner)
    audit = AuditWorld(writer, tmp_path).live()
    with pytest.raises(PermanentError, match="permission denied"):
        AuditRetention(writer, audit.log).prune(DAYS[2], places=["file"], actor="mallory", now=audit.now)
    with pytest.raises(PermanentError, match="append-only"), owner.write() as connection:
        connection.execute(sa.text("delete from audit where seq = 1"))
    audit.log._database = owner
    dropped = AuditRetention(owner, audit.log).prune(DAYS[2], places=["file"], actor="owner", now=audit.now)
    assert dropped is not None
    assert audit.log.verify().ok


@pytest.mark.parametrize("name", ["", 'a"b', "a; drop table audit", "a b"])
def test_only_a_plain_name_gets_into_the_statements(name):
    with pytest.raises(ConfigError, match="plain name"):
        writer_grants(name)
