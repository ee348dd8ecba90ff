"""Every authentication is in the audit: keys that are used, and keys that are refused, without filling it."""

from __future__ import annotations

import csv
import io

import pytest

from api.logins import LoginBook
from sentinel.approvals import Role
from sentinel.audit_chain import verify
from sentinel.audit_export import read_json_lines
from sentinel.audit_heads import NO_HEAD, SignedHead, day_of, sign_head
from sentinel.audit_keys import SigningKey, TrustedKeys
from tests.api.conftest import KEYS

pytestmark = pytest.mark.slow


def logins(api):
    return [(r.actor, r.action, r.target) for r in api.stores.audit.records() if "login" in r.action]


def test_the_use_of_a_key_is_recorded_once_a_while_for_each_caller(serve):
    api = serve(login_audit_seconds=100)
    with api.http(Role.VIEWER) as viewer, api.http(Role.APPROVER) as approver:
        for _ in range(3):
            viewer.get("/api/v1/incidents")
            approver.get("/api/v1/audit")
        assert logins(api) == [("the-viewer", "api.login", "api"), ("the-approver", "api.login", "api")]
        api.clock.at += 99
        viewer.get("/api/v1/incidents")
        assert len(logins(api)) == 2
        api.clock.at += 1
        viewer.get("/api/v1/incidents")
        assert len(logins(api)) == 3
    [first, *_] = api.stores.audit.records()
    assert (first.details["role"], first.details["client"]) == ("viewer", "127.0.0.1")


@pytest.mark.parametrize(
    ("key", "path", "actor", "rule"),
    [
        ("", "/api/v1/incidents", "unknown", "authentication"),
        ("wrong", "/api/v1/incidents", "unknown", "authentication"),
        (KEYS[Role.VIEWER], "/api/v1/audit", "the-viewer", "role"),
        (KEYS[Role.VIEWER], "/api/v1/audit/export", "the-viewer", "role"),
        ("wrong", "/health/detailed", "unknown", "authentication"),
    ],
)
def test_a_refused_key_is_recorded_wherever_it_was_tried(api, key, path, actor, rule):
    with api.http() as http:
        answer = http.get(path, headers={"Authorization": f"Bearer {key}"} if key else {})
    assert answer.status_code in (401, 403)
    [record] = api.told()
    assert (record.actor, record.action, record.target) == (actor, "api.login_failed", path)
    assert record.details["rule"] == rule
    assert "wrong" not in str(record.details)


def test_a_stranger_cannot_fill_the_audit_nor_use_up_the_budget_of_decisions(serve):
    api = serve(failed_logins_per_minute=3)
    with api.http() as http:
        answers = {http.get("/api/v1/incidents").status_code for _ in range(20)}
        assert answers == {401}
        assert len(api.told()) == 3
        assert http.post("/api/v1/kill-switch", json={"on": True, "reason": "x"}).status_code == 401
    assert [record.action for record in api.told()] == ["api.login_failed"] * 3 + ["safety.login_failed"]


def test_a_login_book_forgets_what_could_not_be_told():
    book = LoginBook(10)
    assert book.due("ann", "here", 0.0)
    assert not book.due("ann", "here", 9.0)
    book.forget("ann", "here")
    assert book.due("ann", "here", 9.0)
    assert book.due("ann", "there", 9.0)
    assert not book.due("ann", "here", 18.0)


def test_the_export_of_the_api_is_the_chain_and_is_verified_offline(api):
    for number in range(1, 4):
        api.stores.audit.append(actor="=ann", action="x", target=f"t{number}", at=float(number))
    with api.http(Role.APPROVER) as http:
        http.get("/api/v1/audit")
        lines = http.get("/api/v1/audit/export").content.splitlines(keepends=True)
        some = http.get("/api/v1/audit/export", params={"target": "t2", "since": 1.5, "format": "csv"})
    head = api.stores.audit.head()
    key = SigningKey.generate()
    signed = SignedHead(
        number=1, day=day_of(head.at), closed=False, first=1, seq=head.seq, hash=head.hash, at=1.0, previous=NO_HEAD, key=""
    )  # fmt: skip
    verdict = verify(read_json_lines(lines, "x"), [], [sign_head(signed, key)], TrustedKeys([key.public]))
    assert (verdict.ok, verdict.records) == (True, 4)
    [row] = csv.DictReader(io.StringIO(some.text))
    assert (row["target"], row["actor"]) == ("t2", "'=ann")
    assert "audit.csv" in some.headers["Content-Disposition"]
