# ruff: noqa: S608 the statements are the tests' own
"""Signed heads over the days: every way to tamper is found, with the record and the day, in the database and an export."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from sentinel.audit_chain import GENESIS, record_hash
from sentinel.audit_keys import SigningKey, TrustedKeys
from sentinel.audit_verdict import AuditFault
from tests.contracts.sql.audit_world import AUDIT, BEGIN, DAYS, EACH, found, row
from tests.contracts.sql.threads import at_once

SOURCES = pytest.mark.parametrize("source", ["database", "export"])


@pytest.fixture
def owned(audit):
    """Three days, and a tamperer with all rights on the database."""
    return audit.live().own()


@SOURCES
def test_an_intact_audit_of_several_days_holds(audit, source):
    verdict = audit.live().verdict(source)
    assert found(verdict) == (True, None, None, "")
    assert (verdict.records, verdict.unsigned) == (len(DAYS) * EACH, 0)
    heads = audit.file.read()
    assert verdict.heads == len(heads)
    assert [(head.day, head.first, head.seq) for head in heads if head.closed] == [(DAYS[0], 1, 4), (DAYS[1], 5, 8)]
    assert heads == audit.log.heads.all()


def test_heads_within_a_day_are_signed_as_often_as_configured_and_only_for_new_records(audit):
    audit.now = BEGIN + 100
    audit.write(1)
    assert audit.notary.step() == 1
    audit.write(2)
    assert audit.notary.step() == 0
    assert audit.log.verify().unsigned == 1
    audit.now += 600
    assert audit.notary.step() == 1
    audit.now += 600
    assert audit.notary.step() == 0


def test_a_day_is_closed_after_its_grace_with_the_records_of_writers_whose_clocks_are_behind(audit):
    audit.now = BEGIN + 86_390
    audit.write(1)
    audit.notary.step()
    audit.now = BEGIN + 86_401
    audit.write(2)
    audit.write(3, at=BEGIN + 86_399)
    audit.now = BEGIN + 86_459
    assert audit.notary.step() == 0
    audit.now = BEGIN + 86_460
    assert audit.notary.step() == 1
    assert [(head.day, head.closed, head.seq) for head in audit.file.read()] == [
        (DAYS[0], False, 1),
        (DAYS[0], True, 3),
    ]
    audit.write(4)
    audit.notary.step()
    assert audit.log.heads.last().first == 4
    assert audit.log.verify().ok


def test_days_that_passed_while_nobody_signed_are_closed_one_by_one(audit):
    audit.live(step=False)
    audit.now = BEGIN + 86_400 * 5
    audit.notary.step()
    assert [(head.day, head.seq) for head in audit.file.read()] == [(DAYS[0], 4), (DAYS[1], 8), (DAYS[2], 12)]
    assert audit.log.verify().ok


@pytest.mark.parametrize("at", [-1e17, 0.0, BEGIN + 1e9, 1e300], ids=str)
def test_a_record_of_an_impossible_time_does_not_stop_the_notary(audit, at):
    audit.live(1)
    audit.write(99, at=at)
    audit.now += 1000
    audit.notary.step()
    audit.now += 86_400
    audit.notary.step()
    assert audit.log.verify().unsigned == 0
    assert audit.log.verify().ok


def test_several_notaries_sign_each_head_once(audit):
    audit.live(1, step=False)
    notaries = [audit.new_notary() for _ in range(4)]
    at_once(4, lambda number: notaries[number].step())
    assert [head.number for head in audit.log.heads.all()] == [1]
    assert audit.log.verify().ok


@SOURCES
@pytest.mark.parametrize(
    "change", ["actor = 'nobody'", "reason = 'x'", "details = '{\"n\": 99}'", "details = 'no'", "at = 0"]
)
def test_an_edit_is_found(owned, source, change):
    owned.run(f"update audit set {change} where seq = 6")
    assert found(owned.verdict(source)) == (False, AuditFault.EDITED, 6, DAYS[1])


@SOURCES
def test_a_deletion_is_found(owned, source):
    owned.run("delete from audit where seq = 7")
    assert found(owned.verdict(source)) == (False, AuditFault.MISSING, 7, DAYS[1])


@SOURCES
def test_an_insertion_is_found(owned, source):
    extra = replace(next(r for r in owned.log.records() if r.seq == 5), target="forged")
    owned.run(*[f"update audit set seq = {n + 1} where seq = {n}" for n in range(12, 4, -1)])
    owned.run(sa.insert(AUDIT).values(row(replace(extra, hash=record_hash(extra)))))
    # The inserted record is good in itself and fits the one before; a head was signed for its number.
    assert found(owned.verdict(source)) == (False, AuditFault.REWRITTEN, 5, DAYS[1])


@SOURCES
def test_a_reorder_is_found(owned, source):
    owned.run(*[f"update audit set seq = {new} where seq = {old}" for old, new in ((2, 99), (10, 2), (99, 10))])
    assert found(owned.verdict(source)) == (False, AuditFault.EDITED, 2, DAYS[0])


@SOURCES
@pytest.mark.parametrize(("left", "day"), [(10, DAYS[2]), (8, DAYS[2]), (3, DAYS[0]), (0, DAYS[0])])
def test_a_cut_tail_is_found(owned, source, left, day):
    owned.anchor.path.unlink()
    owned.run(f"delete from audit where seq > {left}", f"delete from audit_heads where seq > {left}")
    assert found(owned.verdict(source)) == (False, AuditFault.CUT, left + 1, day)


@SOURCES
def test_a_chain_that_was_computed_anew_is_found_at_the_next_signed_head(owned, source):
    owned.anchor.path.unlink()
    owned.rewrite_from(6, reason="forged")
    assert found(owned.verdict(source)) == (False, AuditFault.REWRITTEN, 6, DAYS[1])


@SOURCES
def test_a_chain_that_was_computed_and_signed_anew_by_another_key_is_found(owned, source):
    """The tamperer rewrites records, unsigned anchors, signed heads and even the file outside."""
    owned.anchor.path.unlink()
    owned.rewrite_from(6, reason="forged")
    owned.run("delete from audit_heads")
    owned.file.path.unlink()
    owned.new_notary(SigningKey.generate()).step()
    owned.notary._deliver(owned.file)
    heads = owned.log.heads.all()
    for head in heads:
        owned.file.put(head)
    assert found(owned.verdict(source)) == (False, AuditFault.REKEYED, heads[0].seq, heads[0].day)


def test_one_head_of_another_key_among_good_ones_is_found(owned):
    owned.write(13)
    owned.now += 1000
    owned.new_notary(SigningKey.generate()).step()
    verdict = owned.log.verify()
    assert found(verdict) == (False, AuditFault.REKEYED, 13, DAYS[2])
    assert "not trusted" in verdict.reason


def test_after_a_change_of_the_key_both_count(audit):
    audit.live(1)
    new = SigningKey.generate()
    audit.write(5)
    audit.now += 1000
    audit.new_notary(new).step()
    audit.trust = TrustedKeys([audit.key.public, new.public])
    assert {head.key for head in audit.file.read()} == {audit.key.id, new.id}
    assert audit.log.verify().ok


@pytest.mark.parametrize("field", ["seq", "hash", "day", "closed", "at", "number", "previous", "first"])
def test_a_head_that_was_changed_is_found(owned, field):
    heads = owned.file.read()
    value = {"hash": GENESIS, "day": "2026-01-01", "previous": GENESIS, "closed": True, "at": 1.0}.get(field, 2)
    owned.file.path.unlink()
    for head in (*heads[:-1], replace(heads[-1], **{field: value})):
        owned.file.put(head)
    assert owned.verdict("export").fault is AuditFault.FORGED


@pytest.mark.parametrize("left_out", [0, 5])
def test_a_head_that_was_left_out_is_found(owned, left_out):
    heads = owned.file.read()
    owned.file.path.unlink()
    for head in (*heads[:left_out], *heads[left_out + 1 :]):
        owned.file.put(head)
    verdict = owned.verdict("export")
    assert (verdict.ok, verdict.fault) == (False, AuditFault.HEAD_MISSING)


def test_two_heads_of_one_number_are_found(owned):
    """Somebody has the key, went back in time and signed another past: the places outside contradict it."""
    owned.anchor.path.unlink()
    owned.run("delete from audit_heads where number > 5")
    owned.rewrite_from(6, reason="forged")
    owned.new_notary().step()
    assert owned.log.verify().fault is AuditFault.HEADS_DISAGREE
