from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.audit_anchor import AnchorFile
from sentinel.audit_chain import GENESIS, AnchoredHead, AuditRecord, record_hash, verify
from sentinel.audit_verdict import AuditFault
from sentinel.errors import PermanentError


def chain(length: int) -> list[AuditRecord]:
    records: list[AuditRecord] = []
    for seq in range(1, length + 1):
        record = AuditRecord(
            seq=seq,
            at=float(seq),
            actor="ann",
            action="x",
            target="t",
            details={"n": seq, "ratio": 0.1},
            previous=records[-1].hash if records else GENESIS,
        )
        records.append(replace(record, hash=record_hash(record)))
    return records


def anchors(records: list[AuditRecord]) -> list[AnchoredHead]:
    return [AnchoredHead(record.seq, record.hash, record.at) for record in records]


def test_an_intact_chain_holds_and_counts_what_is_not_anchored_yet():
    records = chain(5)
    verdict = verify(records, anchors(records[:3]))
    assert (verdict.ok, verdict.records, verdict.unanchored, verdict.head_hash) == (True, 5, 2, records[-1].hash)
    assert verify([]).ok
    assert verify([]).head_hash == GENESIS


def test_anchors_may_come_in_any_order_and_twice():
    records = chain(4)
    heads = anchors(records)
    assert verify(records, [heads[3], heads[1], heads[1]]).ok


@given(st.data())
def test_whatever_is_done_to_the_records_is_found_and_named(data):
    good = chain(8)
    bad, position = list(good), data.draw(st.integers(0, 7))
    what = data.draw(st.sampled_from(["edit", "delete", "insert", "swap", "cut"]))
    if what == "edit":
        bad[position] = replace(bad[position], reason="forged")
    elif what == "delete":
        del bad[position]
    elif what == "insert":
        bad.insert(position, bad[data.draw(st.integers(0, 7))])
    elif what == "swap":
        other = data.draw(st.integers(0, 7).filter(lambda n: n != position))
        bad[position], bad[other] = bad[other], bad[position]
    else:
        bad = bad[:position]
    verdict = verify(bad, anchors(good))
    first = next(n for n in range(9) if n >= len(bad) or n >= len(good) or bad[n] != good[n])
    assert not verdict.ok
    assert verdict.records == first
    assert verdict.reason
    # The number that is named is that of the first record out of place: what stands there, or what is missing there.
    assert verdict.first_bad in {first + 1, bad[first].seq if first < len(bad) else first + 1}


def test_a_chain_computed_anew_is_found_by_its_anchor_alone():
    records, other = chain(5), chain(5)
    last = replace(other[4], actor="mallory")
    other[4] = replace(last, hash=record_hash(last))
    assert verify(other).ok
    verdict = verify(other, anchors(records))
    assert (verdict.fault, verdict.first_bad) == (AuditFault.REWRITTEN, 5)


def test_the_anchor_file_keeps_every_head(tmp_path):
    file = AnchorFile(tmp_path / "deep" / "anchor.jsonl")
    assert file.read() == []
    heads = anchors(chain(3))
    for head in heads:
        file.append(head)
    assert file.read() == heads


@pytest.mark.parametrize("torn", [b"{", b'{"at":3.0,"hash":"ab'])
def test_a_torn_last_line_is_left_out_and_replaced(tmp_path, torn):
    file = AnchorFile(tmp_path / "anchor.jsonl")
    one, two = anchors(chain(2))
    file.append(one)
    with file.path.open("ab") as out:
        out.write(torn)
    assert file.read() == [one]
    file.append(two)
    assert file.read() == [one, two]


def test_a_bad_line_is_named_by_its_place(tmp_path):
    file = AnchorFile(tmp_path / "anchor.jsonl")
    file.append(anchors(chain(1))[0])
    with file.path.open("ab") as out:
        out.write(b"nonsense\n")
    with pytest.raises(PermanentError, match=r"anchor\.jsonl:2"):
        file.read()


def test_the_anchor_file_is_private(tmp_path):
    file = AnchorFile(tmp_path / "anchor.jsonl")
    file.append(anchors(chain(1))[0])
    assert os.stat(file.path).st_mode & 0o777 == 0o600  # noqa: PTH116 reads as the shell command does
