from __future__ import annotations

import pytest

from sentinel.approvals import Role
from sentinel.edits import EditOutcome
from sentinel.errors import RefusedError
from sentinel.stores.sql.edits import Wish
from tests.contracts.sql.samples import DIGEST, answer, request
from tests.contracts.sql.threads import at_once


def wish(**changes) -> Wish:
    values = {
        "request_id": "apr-1", "digest": DIGEST, "step": 1, "parameter": "version", "value": "v0", "actor": "ann",
        "role": Role.APPROVER,
    }  # fmt: skip
    return Wish(**{**values, **changes})


def refusal(stores, now=150.0, **changes) -> str:
    with pytest.raises(RefusedError) as caught:
        stores.edits.ask(wish(**changes), now=now)
    return caught.value.rule


def test_an_edit_waits_for_the_worker_and_wakes_it(stores):
    stores.approvals.create(request())
    edit, fresh = stores.edits.ask(wish(), now=150.0)
    assert fresh
    assert stores.edits.ask(wish(), now=160.0) == (edit, False)
    assert stores.edits.of("apr-1") == (edit,)
    assert stores.approvals.decided(["apr-1", "apr-2"]) == {"apr-1"}
    assert stores.edits.due(stores.approvals.get("apr-1")) == edit
    done = stores.edits.answer(edit, EditOutcome.REFUSED, "out of bounds", now=151.0)
    assert stores.edits.of("apr-1") == (done,)
    assert stores.edits.due(stores.approvals.get("apr-1")) is None
    assert stores.approvals.decided(["apr-1"]) == set()


def test_the_applied_edit_of_a_superseded_request_is_still_found(stores):
    stores.approvals.create(request())
    edit, _ = stores.edits.ask(wish(), now=150.0)
    stores.edits.ask(wish(value="v9"), now=151.0)
    stores.approvals.supersede("apr-1", now=152.0)
    done = stores.edits.answer(edit, EditOutcome.APPLIED, "", now=152.0)
    assert stores.edits.due(stores.approvals.get("apr-1")) == done


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"request_id": "apr-9"}, "unknown_request"),
        ({"role": Role.VIEWER}, "role"),
        ({"digest": "0" * 64}, "wrong_digest"),
        ({"step": 2}, "unknown_parameter"),
        ({"parameter": "target"}, "unknown_parameter"),
        ({"now": 200.0}, "expired"),
    ],
)
def test_what_cannot_be_edited_is_refused(stores, changes, rule):
    stores.approvals.create(request())
    assert refusal(stores, **changes) == rule
    assert stores.edits.of("apr-1") == ()


def test_a_closed_request_takes_no_edit(stores):
    stores.approvals.create(request())
    stores.approvals.create(request("apr-2"))
    stores.approvals.decide(answer(), now=150.0)
    stores.approvals.supersede("apr-2", now=150.0)
    assert refusal(stores) == "already_decided"
    assert refusal(stores, request_id="apr-2") == "superseded"
    assert stores.edits.due(stores.approvals.get("apr-1")) is None


def test_an_edit_and_an_approval_at_once_are_put_in_an_order(stores):
    """Either the edit came first and both stand, or the approval did and the edit was refused."""
    for number in range(8):
        stores.approvals.create(request(f"apr-{number}"))

        def race(caller, request_id=f"apr-{number}"):
            try:
                if caller:
                    return stores.edits.ask(wish(request_id=request_id), now=150.0)[1]
                return stores.approvals.decide(answer(request_id=request_id), now=150.0)[1]
            except RefusedError as error:
                return error.rule

        approved, edited = at_once(2, race)
        assert approved is True
        assert edited in (True, "already_decided")
        assert bool(stores.edits.of(f"apr-{number}")) is (edited is True)
