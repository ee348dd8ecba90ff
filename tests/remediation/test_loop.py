"""The whole run, from an incident to its outcome, over real stores, graph and checkpoints."""

import msgspec

from sentinel.approvals import ApprovalStatus, Choice
from sentinel.incidents import IncidentStatus
from sentinel.outcomes import Outcome
from tests.remediation.world import (
    alert,
    bad_deploy,
    connection_leak,
    deploy,
    firing,
    incident,
    later,
    memory_leak,
    settings,
    update,
)


def test_a_bad_deploy_is_rolled_back_after_approval_and_verified(world):
    one = bad_deploy()
    world.open(one)
    assert world.fleet.actions == []
    assert [request.plan.runbook for request in world.pending()] == ["bad-deploy"]
    world.answer()
    world.steps()
    assert world.fleet.actions == [("rollback", "checkout", {})]
    world.windows(one, "normal", "normal")
    assert world.results(one) == []
    world.windows(one, "normal", first=10_180)
    assert world.results(one) == ["verified"]
    assert world.kinds(one) == [
        "analysed", "planned", "policy", "asked", "approved", "executing", "executed", "verified", "recorded",
    ]  # fmt: skip
    assert world.stores.audit.verify().ok
    published = [msgspec.json.decode(v, type=Outcome) for topic, _, v in world.sink.messages if topic == "outcomes"]
    assert [outcome.result for outcome in published] == ["verified"]
    assert {"plan", "policy", "verify"} <= {
        msgspec.json.decode(v)["stage"] for topic, _, v in world.sink.messages if topic == "decisions"
    }
