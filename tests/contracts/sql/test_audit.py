"""The audit in SQL: append-only, without gaps, and every way to tamper with it is found and named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from sentinel.audit_anchor import AnchorFile
from sentinel.audit_chain import record_hash
from sentinel.audit_verdict import AuditFault
from sentinel.errors import PermanentError
from sentinel.stores.sql import tables
from sentinel.stores.sql.audit import AuditFilter, AuditLog
from sentinel.stores.sql.database import Database
from tests.contracts.sql.threads import at_once

AUDIT = tables.audit


def fill(stores, records=6):
    for number in range(1, records + 1):
        stores.audit.append(
            actor="ann" if number % 2 else "worker",
            action="approval.decided",
            target=f"apr-{number}",
            at=100.0 + number,
            reason="naïve ✓\x00",
            digest="d" * 64,
            details={"n": number, "x": 1.0},
            trace_id="a" * 32,
        )


@pytest.fixture
def owned(stores):
    """Six records in a database whose owner has dropped the triggers, as a tamperer with all rights would."""
    fill(stores)
    with stores.database.write() as connection:
        if stores.database.is_sqlite:
            for name in ("audit_no_UPDATE", "audit_no_DELETE"):
                connection.exec_driver_sql(f"drop trigger {name}")
        else:
            connection.exec_driver_sql("drop function audit_append_only() cascade")
    return stores


def run(stores, *statements):
    with stores.database.write() as connection:
        for statement in statements:
            connection.execute(statement)


def test_a_record_comes_back_as_it_was(stores):
    fill(stores, 2)
    one, two = stores.audit.records()
    assert (one.seq, one.actor, one.details, one.reason) == (1, "ann", {"n": 1, "x": 1.0}, "naïve ✓\ufffd")
    assert (two.previous, stores.audit.head().hash) == (one.hash, two.hash)
    assert record_hash(two) == two.hash


def test_appends_at_once_make_one_chain_without_gaps(stores):
    at_once(10, lambda n: [stores.audit.append(actor=str(n), action="x", target="t", at=1.0) for _ in range(5)])
    verdict = stores.audit.verify()
    assert (verdict.ok, verdict.records, verdict.unanchored) == (True, 50, 0)


def test_appends_of_several_processes_make_one_chain(stores, tmp_path):
    def append(number):
        own = Database(stores.database.url.render_as_string(hide_password=False))
        log = AuditLog(own, AnchorFile(tmp_path / "audit-anchor.jsonl"))
        for _ in range(5):
            log.append(actor=str(number), action="x", target="t", at=1.0)
        own.close()

    at_once(4, append)
    verdict = stores.audit.verify()
    assert (verdict.ok, verdict.records, verdict.unanchored) == (True, 20, 0)


def test_a_rolled_back_append_leaves_no_gap_and_no_anchor(stores, tmp_path):
    fill(stores, 1)

    def append_and_fail():
        with stores.database.write():
            fill(stores, 2)
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 raised by the test itself
        append_and_fail()
    fill(stores, 1)
    assert [head.seq for head in AnchorFile(tmp_path / "audit-anchor.jsonl").read()] == [1, 2]
    assert stores.audit.verify().ok


def test_filters_and_pages(stores):
    fill(stores)
    found = [record.seq for record in stores.audit.records(AuditFilter(actor="ann", since=103.0, until=105.5))]
    assert found == [3, 5]
    assert [r.seq for r in stores.audit.records(AuditFilter(target="apr-2", action="approval.decided"))] == [2]
    first = stores.audit.find(limit=4)
    rest = stores.audit.find(limit=4, cursor=first.next_cursor)
    assert [record.seq for record in (*first.items, *rest.items)] == [6, 5, 4, 3, 2, 1]
    assert rest.next_cursor == ""


@pytest.mark.parametrize(
    "statement",
    [
        sa.update(AUDIT).values(actor="nobody"),
        sa.delete(AUDIT),
        sa.text("truncate audit"),
        sa.text("replace into audit select * from audit where seq = 2"),
    ],
    ids=["update", "delete", "truncate", "replace"],
)
def test_the_database_itself_refuses_changes(stores, statement):
    if (str(statement).startswith("truncate"), stores.database.is_sqlite) == (True, True):
        return  # SQLite has no TRUNCATE
    fill(stores, 3)
    with pytest.raises(
        PermanentError,
        match="syntax error" if "replace" in str(statement) and not stores.database.is_sqlite else "append-only",
    ):
        run(stores, statement)
    assert stores.audit.verify().records == 3


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "nobody"},
        {"reason": "no"},
        {"digest": "e" * 64},
        {"details": '{"n":3,"x":2.0}'},
        {"at": 0.0},
        {"trace_id": ""},
        {"target": "apr-9"},
        {"action": "x"},
        {"hash": "0" * 64},
        {"previous": "0" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_edit_is_found(owned, change):
    run(owned, sa.update(AUDIT).where(AUDIT.c.seq == 3).values(change))
    verdict = owned.audit.verify()
    assert (verdict.ok, verdict.first_bad, verdict.fault, verdict.records) == (False, 3, AuditFault.EDITED, 2)


def test_an_edit_with_a_new_hash_is_found_by_the_next_link_or_the_anchor(owned, tmp_path):
    record = next(r for r in owned.audit.records() if r.seq == 3)
    forged = record_hash(replace(record, reason="forged"))
    run(owned, sa.update(AUDIT).where(AUDIT.c.seq == 3).values(reason="forged", hash=forged))
    assert (owned.audit.verify().first_bad, owned.audit.verify().fault) == (3, AuditFault.REWRITTEN)
    without_anchor = AuditLog(owned.database).verify()
    assert (without_anchor.first_bad, without_anchor.fault) == (4, AuditFault.UNLINKED)


def test_a_deletion_is_found(owned):
    run(owned, sa.delete(AUDIT).where(AUDIT.c.seq == 3))
    verdict = owned.audit.verify()
    assert (verdict.ok, verdict.first_bad, verdict.fault) == (False, 3, AuditFault.MISSING)


def test_a_deletion_with_renumbering_is_found(owned):
    run(
        owned,
        sa.delete(AUDIT).where(AUDIT.c.seq == 3),
        *[sa.update(AUDIT).where(AUDIT.c.seq == n).values(seq=n - 1) for n in (4, 5, 6)],
    )
    verdict = owned.audit.verify()
    assert (verdict.ok, verdict.first_bad, verdict.fault) == (False, 3, AuditFault.EDITED)


def test_an_insertion_is_found(owned):
    extra = next(r for r in owned.audit.records() if r.seq == 3)
    row = {name: getattr(extra, name) for name in AUDIT.c.keys()} | {"details": json.dumps(extra.details)}  # noqa: SIM118
    run(
        owned,
        *[sa.update(AUDIT).where(AUDIT.c.seq == n).values(seq=n + 1) for n in (6, 5, 4, 3)],
        sa.insert(AUDIT).values(row),
    )
    verdict = owned.audit.verify()
    assert (verdict.ok, verdict.first_bad, verdict.fault) == (False, 4, AuditFault.EDITED)


def test_a_reorder_is_found(owned):
    run(owned, *[sa.update(AUDIT).where(AUDIT.c.seq == old).values(seq=new) for old, new in ((2, 99), (5, 2), (99, 5))])
    verdict = owned.audit.verify()
    assert (verdict.ok, verdict.first_bad, verdict.fault) == (False, 2, AuditFault.EDITED)


@pytest.mark.parametrize("left", [4, 0])
def test_a_cut_tail_is_found(owned, left):
    run(owned, sa.delete(AUDIT).where(AUDIT.c.seq > left))
    verdict = owned.audit.verify()
    assert (verdict.ok, verdict.first_bad, verdict.fault) == (False, left + 1, AuditFault.CUT)


def test_a_cut_tail_that_grew_again_is_found(owned):
    run(owned, sa.delete(AUDIT).where(AUDIT.c.seq > 4))
    AuditLog(owned.database).append(actor="mallory", action="x", target="t", at=1.0)
    AuditLog(owned.database).append(actor="mallory", action="x", target="t", at=1.0)
    verdict = owned.audit.verify()
    assert (verdict.ok, verdict.first_bad, verdict.fault) == (False, 5, AuditFault.REWRITTEN)


def test_an_anchor_that_cannot_be_written_is_told_and_made_up_for(database, tmp_path):
    path = tmp_path / "gone"
    path.mkdir()
    log = AuditLog(database, AnchorFile(path))
    log.append(actor="a", action="x", target="t", at=1.0)
    assert "directory" in log.anchor_error
    path.rmdir()
    assert log.verify().unanchored == 1
    log.append(actor="a", action="x", target="t", at=2.0)
    assert log.anchor_error == ""
    assert log.verify().unanchored == 0
    assert Path(path).is_file()
