# ruff: noqa: S608 the statements are the tests' own
"""Old days that are dropped, changes that the database refuses, and places outside that are away."""

from __future__ import annotations

import pytest

from sentinel.audit_late import check_late
from sentinel.audit_settings import AuditSettings
from sentinel.audit_verdict import AuditFault
from sentinel.errors import PermanentError, RefusedError, TransientError
from sentinel.metrics import REGISTRY
from sentinel.stores.sql.audit_retention import AuditRetention
from tests.contracts.sql.audit_world import DAYS, Kept, found

PLACES = AuditSettings.model_validate(
    {"key": "file:audit.key", "sign_every": 600, "anchors": [{"kind": "file"}, {"kind": "file", "name": "kept"}]}
)
SOURCES = pytest.mark.parametrize("source", ["database", "export"])


@pytest.fixture
def owned(audit):
    """Three days, and a tamperer with all rights on the database."""
    return audit.live().own()


@SOURCES
def test_old_days_may_go_once_their_head_is_outside_and_the_rest_stays_proven(audit, source):
    audit.live()
    retention = AuditRetention(audit.database, audit.log)
    dropped = retention.prune(DAYS[2], places=["file"], actor="cli:root", now=audit.now)
    assert dropped is not None
    assert (dropped.day, dropped.seq, dropped.records) == (DAYS[1], 8, 8)
    assert [record.seq for record in audit.log.records()] == [9, 10, 11, 12, 13]
    verdict = audit.verdict(source)
    assert (verdict.ok, verdict.starts_after, verdict.records) == (True, 8, 5)
    assert retention.prune(DAYS[2], places=["file"], actor="cli:root", now=audit.now) is None
    audit.write(14)
    assert audit.verdict(source).ok


@SOURCES
def test_old_records_that_are_gone_without_a_record_of_it_are_found(owned, source):
    owned.run("delete from audit where seq <= 8")
    assert found(owned.verdict(source)) == (False, AuditFault.DROPPED, 1, DAYS[0])


@SOURCES
def test_old_records_that_are_gone_up_to_no_closed_day_are_found(owned, source):
    owned.run("delete from audit where seq <= 6")
    assert found(owned.verdict(source)) == (False, AuditFault.MISSING, 1, DAYS[0])


def test_an_edit_behind_the_retention_is_found(audit):
    audit.live()
    AuditRetention(audit.database, audit.log).prune(DAYS[2], places=["file"], actor="x", now=audit.now)
    audit.own().run("update audit set reason = 'x' where seq = 9")
    assert found(audit.log.verify()) == (False, AuditFault.EDITED, 9, DAYS[2])


def test_nothing_is_dropped_before_its_head_is_outside(audit):
    kept = Kept("elsewhere")
    audit.anchors.append(kept)
    kept.error = TransientError("away")
    audit.notary = audit.new_notary()
    audit.live()
    retention = AuditRetention(audit.database, audit.log)
    with pytest.raises(RefusedError, match="has not reached elsewhere"):
        retention.prune(DAYS[2], places=["file", "elsewhere"], actor="x", now=audit.now)
    with pytest.raises(RefusedError, match="no place outside"):
        retention.prune(DAYS[2], places=[], actor="x", now=audit.now)
    assert len(list(audit.log.records())) == 12


def test_nothing_is_dropped_from_a_chain_that_does_not_hold(owned):
    owned.run("update audit set reason = 'x' where seq = 2")
    with pytest.raises(RefusedError, match="edited: the content of record 2"):
        AuditRetention(owned.database, owned.log).prune(DAYS[2], places=["file"], actor="x", now=owned.now)


@pytest.mark.parametrize("table", ["audit_heads", "audit_retention", "audit"])
@pytest.mark.parametrize("verb", ["update", "delete", "truncate"])
def test_the_database_refuses_changes_even_of_its_owner(audit, table, verb):
    if verb == "truncate" and audit.database.is_sqlite:
        return  # SQLite has no TRUNCATE
    audit.live()
    AuditRetention(audit.database, audit.log).prune(DAYS[1], places=["file"], actor="x", now=audit.now)
    statement = {
        "update": f"update {table} set at = 0",
        "delete": f"delete from {table}",
        "truncate": f"truncate {table} cascade",
    }
    with pytest.raises(PermanentError, match="append-only"):
        audit.run(statement[verb])
    assert audit.log.verify().ok


def test_a_place_that_is_away_gets_everything_later_and_does_not_hold_up_the_others(audit):
    kept = Kept()
    audit.anchors.append(kept)
    audit.notary = audit.new_notary()
    kept.error = TransientError("no route")
    audit.live(1)
    [away, file] = sorted(audit.log.heads.deliveries(), key=lambda one: one.place, reverse=True)
    assert (away.place, away.number, away.last_error) == ("kept", 0, "no route")
    assert file.owed_since is None
    late = REGISTRY.get_sample_value("sentinel_audit_anchor_late_seconds", {"place": "kept"})
    assert late == audit.now - audit.log.heads.all()[0].at > 0
    with pytest.raises(TransientError, match=r"kept lacks heads since .*no route"):
        check_late(audit.log.heads, PLACES, audit.now + 3600)
    without = PLACES.model_copy(update={"anchors": PLACES.anchors[:1]})
    assert check_late(audit.log.heads, without, audit.now + 600)
    kept.error = None
    audit.now += 400
    audit.notary.step()
    assert kept.heads == audit.file.read()
    assert REGISTRY.get_sample_value("sentinel_audit_anchor_late_seconds", {"place": "kept"}) == 0.0
    assert check_late(audit.log.heads, PLACES, audit.now)


def test_a_place_that_is_away_is_asked_less_and_less(audit):
    kept, asked = Kept(), []
    kept.error = TransientError("away")
    kept.asked = lambda: asked.append(audit.now)
    audit.anchors.append(kept)
    audit.notary = audit.new_notary()
    audit.live(1)
    asked.clear()
    begin = audit.now
    for _ in range(60):
        audit.now += 10
        audit.notary.step()
    assert 3 <= len(asked) <= 4
    assert all(at > begin for at in asked)


def test_a_notary_that_stopped_is_late(audit):
    audit.live(1)
    assert check_late(audit.log.heads, PLACES, audit.now)
    audit.write(99)
    with pytest.raises(TransientError, match="nothing was signed"):
        check_late(audit.log.heads, PLACES, audit.now + 5000)
