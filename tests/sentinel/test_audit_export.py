"""Exports: JSON Lines that prove themselves, and CSV that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from sentinel.audit_chain import verify
from sentinel.audit_export import COLUMNS, csv_lines, json_lines, read_json_lines
from sentinel.audit_heads import NO_HEAD, SignedHead, day_of, head_digest, sign_head
from sentinel.audit_keys import SigningKey, TrustedKeys
from sentinel.audit_verdict import AuditFault
from sentinel.errors import PermanentError
from tests.sentinel.test_audit_chain import chain

KEY = SigningKey.generate()
TRUST = TrustedKeys([KEY.public])
RECORDS = chain(6)
DAY = day_of(1.0)


def heads(*seqs):
    made: list[SignedHead] = []
    for number, seq in enumerate(seqs, start=1):
        head = SignedHead(
            number=number, day=DAY, closed=True, first=1, seq=seq, hash=RECORDS[seq - 1].hash, at=10.0,
            previous=head_digest(made[-1]) if made else NO_HEAD, key="",
        )  # fmt: skip
        made.append(sign_head(head, KEY))
    return made


def verdict_on(lines, *signed, **how):
    return verify(read_json_lines(lines, "audit.jsonl"), [], signed or heads(2, 6), TRUST, **how)


@pytest.fixture
def lines():
    return list(json_lines(RECORDS))


def test_an_export_is_verified_without_a_database(lines):
    verdict = verdict_on(lines)
    assert (verdict.ok, verdict.records, verdict.heads, verdict.unsigned) == (True, 6, 2, 0)


def edited(lines):
    lines[2] = lines[2].replace(b'"actor":"ann"', b'"actor":"bob"')


def deleted(lines):
    del lines[2]


def inserted(lines):
    lines.insert(2, lines[1])


def reordered(lines):
    lines[2], lines[4] = lines[4], lines[2]


def cut(lines):
    del lines[2:]


def added_to(lines):
    lines[2] = lines[2].replace(b"{", b'{"approved_by":"ceo",', 1)


def doubled(lines):
    lines[2] = lines[2].replace(b"{", b'{"actor":"bob",', 1)


def spaced(lines):
    lines[2] = lines[2].replace(b":", b": ", 1)


TAMPERING = {
    edited: (AuditFault.EDITED, 3),
    deleted: (AuditFault.MISSING, 3),
    inserted: (AuditFault.OUT_OF_ORDER, 2),
    reordered: (AuditFault.MISSING, 3),
    cut: (AuditFault.CUT, 3),
    added_to: (AuditFault.EDITED, 3),
    doubled: (AuditFault.EDITED, 3),
    spaced: (AuditFault.EDITED, 3),
}


@pytest.mark.parametrize("tamper", TAMPERING, ids=lambda tamper: tamper.__name__)
def test_whatever_is_done_to_an_export_is_found(lines, tamper):
    tamper(lines)
    verdict = verdict_on(lines)
    assert (verdict.ok, verdict.fault, verdict.first_bad, verdict.day) == (False, *TAMPERING[tamper], DAY)


def test_a_line_that_is_no_record_is_named(lines):
    lines[3] = b"nonsense\n"
    with pytest.raises(PermanentError, match=r"audit\.jsonl:4"):
        verdict_on(lines)


def test_an_excerpt_is_proven_between_two_heads(lines):
    part = lines[2:4]
    assert verdict_on(part, partial=True).starts_after == 2
    assert verdict_on(part, partial=True).ok
    assert verdict_on(part).fault is AuditFault.CUT
    assert not verdict_on(lines[3:4], partial=True).ok


def test_csv_holds_the_same_records():
    rows = list(csv.DictReader(io.StringIO(b"".join(csv_lines(RECORDS)).decode())))
    assert tuple(rows[0]) == COLUMNS
    assert [int(row["seq"]) for row in rows] == [record.seq for record in RECORDS]
    assert json.loads(rows[0]["details"]) == RECORDS[0].details
    assert rows[0]["time_utc"] == "1970-01-01T00:00:01.000+00:00"


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1", "a=1", "ann", ""]
)
def test_no_text_becomes_a_formula(text):
    record = replace(RECORDS[0], actor=text, reason=text, target=text)
    [row] = csv.DictReader(io.StringIO(b"".join(csv_lines([record])).decode(), newline=""))
    expected = text if text in ("a=1", "ann", "") else f"'{text}"
    assert (row["actor"], row["reason"], row["target"]) == (expected,) * 3


def test_a_record_with_an_impossible_time_can_still_be_exported():
    assert b"1e+300" in b"".join(csv_lines([replace(RECORDS[0], at=1e300)]))
