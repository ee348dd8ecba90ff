from __future__ import annotations

import pytest
import sqlalchemy as sa

from sentinel.approvals import ApprovalDecision, ApprovalRequest, ApprovalStatus, Choice, Quorum, Role
from sentinel.errors import PermanentError, RefusedError
from sentinel.stores.sql import tables
from tests.contracts.sql.samples import DIGEST, answer, request
from tests.contracts.sql.threads import at_once


def refusal(stores, now=150.0, **changes) -> str:
    with pytest.raises(RefusedError) as caught:
        stores.approvals.decide(answer(**changes), now=now)
    return caught.value.rule


def test_a_request_comes_back_as_it_was_and_is_created_once(stores):
    assert stores.approvals.get("apr-1") is None
    assert stores.approvals.create(request()) == request()
    assert stores.approvals.create(request(asked=2)) == request()
    assert stores.approvals.get("apr-1") == request()


@pytest.mark.parametrize(
    ("choice", "status"), [(Choice.APPROVE, ApprovalStatus.APPROVED), (Choice.REJECT, ApprovalStatus.REJECTED)]
)
def test_a_decision_is_stored_and_gives_the_status(stores, choice, status):
    stores.approvals.create(request())
    assert stores.approvals.decision("apr-1") is None
    decision, fresh = stores.approvals.decide(answer(choice=choice), now=150.0)
    assert fresh
    assert decision == ApprovalDecision(
        request_id="apr-1",
        digest=DIGEST,
        choice=choice,
        actor="ann",
        role=Role.APPROVER,
        reason="looks right",
        decided_at=150.0,
    )
    assert stores.approvals.decision("apr-1") == decision
    assert stores.approvals.get("apr-1").status is status


def test_an_unknown_request_is_refused(stores):
    assert refusal(stores) == "unknown_request"


def test_another_digest_is_refused(stores):
    stores.approvals.create(request())
    assert refusal(stores, digest="0" * 64) == "wrong_digest"
    assert stores.approvals.get("apr-1").status is ApprovalStatus.PENDING


def test_a_viewer_is_refused(stores):
    stores.approvals.create(request())
    assert refusal(stores, role=Role.VIEWER) == "role"


def test_a_second_decision_is_refused(stores):
    stores.approvals.create(request())
    stores.approvals.decide(answer(), now=150.0)
    assert refusal(stores) == "already_decided"
    assert refusal(stores, choice=Choice.REJECT, actor="bob") == "already_decided"
    assert stores.approvals.get("apr-1").status is ApprovalStatus.APPROVED


@pytest.mark.parametrize("marked", [False, True])
def test_an_expired_request_is_refused(stores, marked):
    stores.approvals.create(request())
    if marked:
        assert [r.id for r in stores.approvals.expire(200.0)] == ["apr-1"]
    assert refusal(stores, now=200.0) == "expired"


def test_a_superseded_request_is_refused(stores):
    stores.approvals.create(request())
    assert stores.approvals.supersede("apr-1", now=120.0)
    assert not stores.approvals.supersede("apr-1", now=121.0)
    assert refusal(stores) == "superseded"
    assert stores.approvals.get("apr-1").status is ApprovalStatus.SUPERSEDED


def test_expiry_marks_only_what_is_due_and_unanswered(stores):
    for number, expires in ((1, 200.0), (2, 200.0), (3, 300.0)):
        stores.approvals.create(request(f"apr-{number}", expires_at=expires))
    stores.approvals.decide(answer(), now=150.0)
    assert stores.approvals.expire(199.9) == []
    assert [(r.id, r.status) for r in stores.approvals.expire(200.0)] == [("apr-2", ApprovalStatus.EXPIRED)]
    assert stores.approvals.expire(200.0) == []
    assert not stores.approvals.supersede("apr-1", now=200.0)
    assert stores.approvals.get("apr-1").status is ApprovalStatus.APPROVED


def test_the_same_answer_with_the_same_key_is_given_once(stores):
    stores.approvals.create(request())
    stores.approvals.create(request("apr-2"))
    first, _ = stores.approvals.decide(answer(idempotency_key="k1"), now=150.0)
    assert stores.approvals.decide(answer(idempotency_key="k1"), now=160.0) == (first, False)
    assert refusal(stores, idempotency_key="k1", choice=Choice.REJECT) == "idempotency_key"
    assert refusal(stores, idempotency_key="k1", request_id="apr-2") == "idempotency_key"
    assert refusal(stores, idempotency_key="k2") == "already_decided"
    assert refusal(stores, idempotency_key="k1", actor="bob") == "already_decided"


@pytest.mark.parametrize("status", ApprovalStatus)
def test_requests_are_found_by_status(stores, status):
    for number, name in enumerate(ApprovalStatus):
        stores.approvals.create(request(str(name), requested_at=100.0 + number))
    for answered, choice in (("approved", Choice.APPROVE), ("rejected", Choice.REJECT)):
        stores.approvals.decide(answer(request_id=answered, choice=choice), now=150.0)
    stores.approvals.supersede("superseded", now=150.0)
    stores.approvals.create(request("soon", expires_at=120.0, incident_id="inc-2"))
    assert len(stores.approvals.expire(130.0)) == 1
    names = {r.id for r in stores.approvals.find(status=status).items}
    expected = {ApprovalStatus.EXPIRED: {"soon"}, ApprovalStatus.PENDING: {"pending", "expired"}}
    assert names == expected.get(status, {str(status)})
    assert [r.id for r in stores.approvals.find(incident_id="inc-2").items] == ["soon"]


def test_of_fifty_decisions_at_once_exactly_one_wins(stores):
    stores.approvals.create(request())

    def decide(number):
        choice = Choice.APPROVE if number % 2 else Choice.REJECT
        try:
            return stores.approvals.decide(answer(actor=f"person-{number}", choice=choice), now=150.0)[0]
        except RefusedError as error:
            return error.rule

    results = at_once(50, decide)
    winners = [result for result in results if isinstance(result, ApprovalDecision)]
    assert len(winners) == 1
    assert results.count("already_decided") == 49
    assert stores.approvals.decision("apr-1") == winners[0]


def test_a_decision_and_an_expiry_at_once_never_both_hold(stores):
    for number in range(10):
        stores.approvals.create(request(f"apr-{number}"))

        def race(caller, request_id=f"apr-{number}"):
            if caller % 2:
                return stores.approvals.supersede(request_id, now=150.0)
            try:
                return bool(stores.approvals.decide(answer(request_id=request_id, actor=str(caller)), now=150.0))
            except RefusedError:
                return False

        assert at_once(6, race).count(True) == 1


def test_a_decision_and_its_audit_record_stand_or_fall_together(stores):
    stores.approvals.create(request())

    def decide_and_fail():
        with stores.database.write():
            stores.approvals.decide(answer(), now=150.0)
            stores.audit.append(actor="ann", action="approval.decided", target="apr-1", at=150.0)
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 raised by the test itself
        decide_and_fail()
    assert stores.approvals.decision("apr-1") is None
    assert stores.audit.head().seq == 0


def two_of_three(**changes) -> ApprovalRequest:
    return request(quorum=Quorum(approvers=2, people={"slack:U0ANN": "ann"}, **changes))


def test_two_people_must_approve_and_the_second_closes_it(stores):
    stores.approvals.create(two_of_three())
    first, _ = stores.approvals.decide(answer(), now=150.0)
    assert not first.closes
    assert stores.approvals.get("apr-1").status is ApprovalStatus.PENDING
    assert stores.approvals.decision("apr-1") is None
    assert stores.approvals.decided(["apr-1"]) == set()
    second, _ = stores.approvals.decide(answer(actor="bob", role=Role.ADMIN), now=151.0)
    assert second.closes
    assert stores.approvals.votes("apr-1") == (first, second)
    assert stores.approvals.decision("apr-1") == second
    assert stores.approvals.decided(["apr-1"]) == {"apr-1"}
    assert stores.approvals.get("apr-1").status is ApprovalStatus.APPROVED


@pytest.mark.parametrize("again", ["ann", "slack:U0ANN"])
def test_one_person_counts_once_through_whatever_door(stores, again):
    stores.approvals.create(two_of_three())
    stores.approvals.decide(answer(), now=150.0)
    assert refusal(stores, actor=again) == "already_voted"
    assert stores.approvals.get("apr-1").status is ApprovalStatus.PENDING


@pytest.mark.parametrize("actor", ["ann", "bob"])
def test_one_rejection_ends_it_even_by_who_has_approved(stores, actor):
    stores.approvals.create(two_of_three())
    stores.approvals.decide(answer(), now=150.0)
    stores.approvals.decide(answer(actor=actor, choice=Choice.REJECT), now=151.0)
    assert stores.approvals.get("apr-1").status is ApprovalStatus.REJECTED
    assert refusal(stores, actor="cid") == "already_decided"


@pytest.mark.parametrize("actor", ["ann", "slack:U0ANN"])
def test_who_asked_for_the_plan_may_reject_it_and_not_approve_it(stores, actor):
    stores.approvals.create(two_of_three(requesters=("ann",)))
    assert refusal(stores, actor=actor) == "requester"
    stores.approvals.decide(answer(actor=actor, choice=Choice.REJECT), now=150.0)
    assert stores.approvals.get("apr-1").status is ApprovalStatus.REJECTED


def test_where_policy_lets_them_requesters_may_approve(stores):
    stores.approvals.create(two_of_three(requesters=("ann",), separate=False))
    stores.approvals.decide(answer(), now=150.0)
    assert len(stores.approvals.votes("apr-1")) == 1


def test_a_half_approved_request_still_expires_and_can_be_replaced(stores):
    for number in (1, 2):
        stores.approvals.create(request(f"apr-{number}", quorum=Quorum(approvers=2)))
        stores.approvals.decide(answer(request_id=f"apr-{number}"), now=150.0)
    assert stores.approvals.supersede("apr-1", now=160.0)
    assert [r.id for r in stores.approvals.expire(200.0)] == ["apr-2"]


def test_of_fifty_approvals_at_once_exactly_as_many_count_as_are_needed(stores):
    stores.approvals.create(request(quorum=Quorum(approvers=3, requesters=("person-7",))))

    def approve(number):
        try:
            return stores.approvals.decide(answer(actor=f"person-{number % 25}"), now=150.0)[0]
        except RefusedError as error:
            return error.rule

    results = at_once(50, approve)
    votes = [result for result in results if isinstance(result, ApprovalDecision)]
    assert len(votes) == len({vote.actor for vote in votes}) == 3
    assert [vote.closes for vote in stores.approvals.votes("apr-1")].count(True) == 1
    assert set(results) - set(votes) <= {"already_decided", "already_voted", "requester"}
    assert "person-7" not in {vote.actor for vote in votes}
    assert stores.approvals.get("apr-1").status is ApprovalStatus.APPROVED


def test_the_database_itself_knows_one_closing_vote(stores):
    """What the lock prevents, the index refuses: also a writer with a defect cannot decide twice."""
    stores.approvals.create(request())
    stores.approvals.decide(answer(), now=150.0)
    row = {"request_id": "apr-1", "person": "bob", "choice": "reject", "closes": 1, "digest": DIGEST}
    who = {"actor": "bob", "role": "approver", "reason": "", "decided_at": 150.0}
    second = sa.insert(tables.approval_votes).values(row | who)
    with pytest.raises(PermanentError), stores.database.write() as connection:
        connection.execute(second)
