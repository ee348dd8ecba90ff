"""Approvals over HTTP: who may decide what, once, and what the audit says of it. On both databases."""

from __future__ import annotations

import httpx
import pytest

from sentinel.approvals import ApprovalStatus, Choice, Quorum, Role
from sentinel.edits import EditOutcome
from tests.api.conftest import KEYS, Api
from tests.contracts.sql.samples import DIGEST, request
from tests.contracts.sql.threads import at_once

pytestmark = pytest.mark.slow
PATH = "/api/v1/approvals/apr-1/decision"
BODY = {"choice": "approve", "digest": DIGEST, "reason": "looks right"}


def decide(
    api: Api, role: Role | None = Role.APPROVER, path: str = PATH, *, key: str = "", **changes
) -> httpx.Response:
    with api.http(role, **({"Idempotency-Key": key} if key else {})) as http:
        return http.post(path, json={**BODY, **changes})


def audited(api: Api) -> list[tuple[str, str, str]]:
    assert api.stores.audit.verify().ok
    return [(r.actor, r.action, r.target) for r in api.told()]


def test_an_approver_decides_and_the_audit_says_so(api):
    api.stores.approvals.create(request(trace_id="b" * 32))
    answer = decide(api)
    assert answer.status_code == 200
    assert answer.json() == {
        "request_id": "apr-1",
        "digest": DIGEST,
        "choice": "approve",
        "actor": "the-approver",
        "role": "approver",
        "reason": "looks right",
        "decided_at": 150.0,
        "closes": True,
        "final": False,
    }
    assert api.stores.approvals.get("apr-1").status is ApprovalStatus.APPROVED
    [record] = api.told()
    assert (record.actor, record.action, record.target, record.digest, record.trace_id, record.at) == (
        "the-approver",
        "approval.approve",
        "apr-1",
        DIGEST,
        "b" * 32,
        150.0,
    )
    assert record.details["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("changes", "now", "status", "rule"),
    [
        ({"digest": "0" * 64}, 150.0, 409, "wrong_digest"),
        ({}, 200.0, 410, "expired"),
        ({"path": "/api/v1/approvals/apr-9/decision"}, 150.0, 404, "unknown_request"),
    ],
)
def test_a_refused_decision_is_a_problem_and_audited(api, changes, now, status, rule):
    api.stores.approvals.create(request())
    api.clock.at = now
    answer = decide(api, **changes)
    assert (answer.status_code, answer.json()["rule"]) == (status, rule)
    assert answer.headers["content-type"] == "application/problem+json"
    assert api.stores.approvals.decision("apr-1") is None
    [(actor, action, _)] = audited(api)
    assert (actor, action) == ("the-approver", "approval.refused")


def test_the_second_decision_is_refused(api):
    api.stores.approvals.create(request())
    assert decide(api).status_code == 200
    again = decide(api, Role.ADMIN, choice="reject")
    assert (again.status_code, again.json()["rule"]) == (409, "already_decided")
    assert api.stores.approvals.decision("apr-1").choice is Choice.APPROVE
    assert [action for _, action, _ in audited(api)] == ["approval.approve", "approval.refused"]


def test_a_superseded_request_is_refused(api):
    api.stores.approvals.create(request())
    api.stores.approvals.supersede("apr-1", now=120.0)
    assert (decide(api).status_code, decide(api).json()["rule"]) == (410, "superseded")


@pytest.mark.parametrize(("role", "status", "actor"), [(None, 401, "unknown"), (Role.VIEWER, 403, "the-viewer")])
def test_who_may_not_decide_is_refused_and_audited(api, role, status, actor):
    api.stores.approvals.create(request())
    answer = decide(api, role)
    assert answer.status_code == status
    assert api.stores.approvals.decision("apr-1") is None
    assert audited(api) == [(actor, "approval.login_failed", "apr-1")]


@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong",
        "Bearer",
        "Basic YTpi",
        "Bearer " + "é" * 3,
        f"Bearer {KEYS[Role.ADMIN]}x",
        KEYS[Role.ADMIN],
    ],
)
def test_a_wrong_key_is_refused(api, header):
    with api.http(None) as http:
        answer = http.post(PATH, json=BODY, headers={"Authorization": header.encode()})
    assert (answer.status_code, answer.json()["rule"]) == (401, "authentication")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_strangers_cannot_fill_the_audit(serve):
    api = serve(failed_logins_per_minute=3)
    statuses = [decide(api, None).status_code for _ in range(6)]
    assert statuses == [401, 401, 401, 429, 429, 429]
    assert len(audited(api)) == 3
    api.stores.approvals.create(request())
    assert decide(api).status_code == 200
    api.clock.at += 60.0
    assert decide(api, None).status_code == 401


def test_the_same_key_again_gets_the_first_answer_and_one_record(api):
    api.stores.approvals.create(request())
    first = decide(api, key="k-1")
    api.clock.at = 160.0
    assert decide(api, key="k-1").json() == first.json()
    other = decide(api, key="k-1", choice="reject")
    assert (other.status_code, other.json()["rule"]) == (422, "idempotency_key")
    assert [action for _, action, _ in audited(api)] == ["approval.approve", "approval.refused"]


def test_of_fifty_clicks_at_once_one_wins(api):
    api.stores.approvals.create(request())
    roles = (Role.APPROVER, Role.ADMIN)
    answers = at_once(50, lambda n: decide(api, roles[n % 2], choice="approve" if n % 3 else "reject"))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 49
    actions = [action for _, action, _ in audited(api)]
    assert len(actions) == 50
    assert actions.count("approval.refused") == 49


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choice": "maybe", "digest": DIGEST},
        {"choice": "approve", "digest": "short"},
        {"choice": "approve", "digest": DIGEST, "extra": 1},
        {"choice": "approve", "digest": DIGEST, "reason": "x" * 2001},
        {"choice": "approve", "digest": DIGEST, "reason": "a\x00b"},
        [],
        None,
    ],
)
def test_a_body_that_does_not_fit_is_refused(api, body):
    api.stores.approvals.create(request())
    with api.http(Role.APPROVER) as http:
        answer = http.post(PATH, json=body)
    assert (answer.status_code, answer.json()["rule"]) == (422, "invalid_request")
    assert api.stores.approvals.decision("apr-1") is None


def test_two_people_approve_and_each_vote_is_audited(serve):
    api = serve()
    api.stores.approvals.create(request(quorum=Quorum(approvers=2)))
    assert decide(api).json()["closes"] is False
    again = decide(api)
    assert (again.status_code, again.json()["rule"]) == (409, "already_voted")
    assert decide(api, Role.ADMIN).json()["closes"] is True
    with api.client() as client:
        view = client.approval("apr-1")
    assert [vote.actor for vote in view.votes] == ["the-approver", "the-admin"]
    assert view.decision == view.votes[-1]
    details = [r.details.get("closes") for r in api.told() if r.action == "approval.approve"]
    assert details == [False, True]


def test_who_asked_for_the_plan_is_refused_and_audited(api):
    api.stores.approvals.create(request(quorum=Quorum(requesters=("the-approver",))))
    answer = decide(api)
    assert (answer.status_code, answer.json()["rule"]) == (403, "requester")
    assert audited(api) == [("the-approver", "approval.refused", "apr-1")]


def test_a_rejection_says_whether_it_is_final(api):
    api.stores.approvals.create(request())
    assert decide(api, choice="reject", final=True).json()["final"] is True
    assert api.stores.approvals.decision("apr-1").objection == ""


def test_an_edit_is_written_down_once_and_audited(api):
    api.stores.approvals.create(request())
    with api.client() as client:
        for _ in range(2):
            edit = client.edit("apr-1", digest=DIGEST, step=1, parameter="version", value="v0", reason="older")
        assert client.approval("apr-1").edits == (edit,)
    assert (edit.actor, edit.value, edit.outcome) == ("the-approver", "v0", EditOutcome.WAITING)
    [record] = api.told()
    assert (record.action, record.details["parameter"], record.details["value"]) == ("approval.edit", "version", "v0")


@pytest.mark.parametrize(
    ("changes", "role", "status"),
    [
        ({"parameter": "target"}, Role.APPROVER, 422),
        ({"step": 2}, Role.APPROVER, 422),
        ({"step": 0}, Role.APPROVER, 422),
        ({"value": [1]}, Role.APPROVER, 422),
        ({"value": "x" * 201}, Role.APPROVER, 422),
        ({"digest": "0" * 64}, Role.APPROVER, 409),
        ({}, Role.VIEWER, 403),
        ({}, None, 401),
    ],
)
def test_an_edit_that_cannot_be_is_a_problem(api, changes, role, status):
    api.stores.approvals.create(request())
    body = {"digest": DIGEST, "step": 1, "parameter": "version", "value": "v0", **changes}
    with api.http(role) as http:
        assert http.post("/api/v1/approvals/apr-1/edit", json=body).status_code == status
    assert api.stores.edits.of("apr-1") == ()
