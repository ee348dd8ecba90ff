"""The whole run, from an incident to its outcome, over real stores, graph and checkpoints."""

import msgspec

from sentinel.incidents import IncidentStatus
from sentinel.outcomes import Outcome
from tests.remediation.world import (
    alert,
    bad_deploy,
    connection_leak,
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


def test_a_low_risk_action_that_policy_lists_runs_by_itself(make_world):
    world = make_world(settings(mode="auto", automatic=[{"action": "restart"}]))
    one = memory_leak()
    world.open(one)
    assert world.fleet.actions == [("restart", "cart", {})]
    assert world.pending() == []
    world.windows(one, "normal", "normal", "normal")
    assert world.results(one) == ["verified"]
    assert "asked" not in world.kinds(one)


def test_a_fix_without_effect_is_undone_and_the_second_plan_works(world):
    one = connection_leak()
    world.open(one)
    world.answer()
    world.steps()
    assert world.fleet.actions == [("scale", "cart", {"replicas": 5})]
    world.windows(one, *["abnormal"] * 10)
    assert world.results(one) == ["no_effect"]
    assert world.stores.outcomes.find(one.id)[0].undone
    assert world.fleet.actions[1:] == [("scale", "cart", {"replicas": 3})]
    assert world.fleet.states["cart"]["replicas"] == 3
    world.fleet.at = 11_000.0
    world.answer()
    world.steps()
    assert world.fleet.actions[2:] == [("restart", "cart", {})]
    world.windows(one, "normal", "normal", "normal", first=11_060)
    assert world.results(one) == ["no_effect", "verified"]


def test_when_nothing_is_left_to_try_the_run_says_so(world):
    one = memory_leak()
    world.open(one)
    world.answer()
    world.steps()
    world.windows(one, *["abnormal"] * 10)
    assert world.results(one) == ["no_effect", "not_executed"]
    last = world.stores.outcomes.find(one.id)[-1]
    assert last.reason == "nothing is left to try"
    assert "restart cart cannot be undone" in world.stores.outcomes.find(one.id)[0].reason


def test_attempts_are_bounded(make_world):
    world = make_world(settings().model_copy(update={"max_attempts": 1}))
    one = connection_leak()
    world.open(one)
    world.answer()
    world.steps()
    world.windows(one, *["abnormal"] * 10)
    assert world.results(one) == ["no_effect"]
    assert world.worker.idle


def test_a_target_that_keeps_changing_is_given_up(make_world):
    world = make_world(settings(mode="auto", automatic=[{"action": "restart"}]))
    real = world.executor.dry_run

    class Restless:
        backend = "fleet"

        def __getattr__(self, name):
            return getattr(world.executor, name)

        def dry_run(self, action):
            world.fleet.touch("cart")
            return real(action)

    world.parts.executors["fleet"] = Restless()
    one = memory_leak()
    world.open(one)
    assert world.fleet.actions == []
    assert world.results(one) == ["not_executed"]


def test_a_recurrence_prefers_what_was_verified_for_the_incident_that_it_cites(world):
    first = connection_leak()
    world.open(first)
    world.answer()
    world.steps()
    world.windows(first, *["abnormal"] * 10)
    world.fleet.at = 11_000.0
    world.answer()
    world.steps()
    world.windows(first, "normal", "normal", "normal", first=11_060)
    assert world.results(first) == ["no_effect", "verified"]
    again = connection_leak(id="inc-2", recurrence_of="inc-1", detected_at=world.clock.at)
    world.open(again)
    (request,) = world.pending()
    assert request.plan.runbook == "connection-leak-restart"
    assert "was verified for inc-1" in request.plan.summary


def test_new_alerts_on_a_neighbour_make_it_worse_and_undo_it(world):
    one = bad_deploy()
    world.open(one)
    world.answer()
    world.steps()
    world.push(firing(alert("payments", "latency_p95_seconds", onset=10_120.0)))
    world.steps()
    assert world.results(one)[0] == "worse"
    assert world.fleet.actions[1] == ("deploy", "checkout", {"version": "1.1.0"})


def test_suggest_mode_shows_the_plan_and_runs_nothing(make_world):
    world = make_world(settings(mode="suggest"))
    one = bad_deploy()
    world.open(one)
    assert world.pending() == []
    assert [notice.kind for notice in world.notices.notices] == ["suggested", "recorded"]
    assert world.results(one) == ["not_executed"]


def test_as_shipped_nothing_runs(make_world):
    world = make_world(settings().model_validate({"policy": {"mode": "approve"}, "worker": {"settle": 5}}))
    one = bad_deploy()
    world.open(one)
    assert world.pending() == []
    assert "allow-list" in world.stores.outcomes.find(one.id)[0].reason


def test_an_incident_without_a_fitting_runbook_is_recorded(world):
    one = incident()
    world.open(one)
    assert world.stores.outcomes.find(one.id)[0].reason == "no runbook fits"


def test_an_incident_that_is_over_before_its_run_is_due_gets_none(world):
    one = bad_deploy()
    world.push(one)
    world.steps(1)
    world.push(later(one, status=IncidentStatus.RESOLVED))
    world.clock.at += 10
    world.steps()
    assert world.stores.runs.find(incident_id=one.id) == []


def test_a_fleet_that_is_away_holds_the_run_and_not_the_worker(world):
    one = bad_deploy()
    world.open(one)
    world.answer()
    world.fleet.down = True
    world.steps()
    assert world.fleet.actions == []
    world.fleet.down = False
    world.clock.at += 1
    world.steps()
    assert world.fleet.actions == [("rollback", "checkout", {})]


def test_a_stale_alert_verifies_nothing(world):
    one = bad_deploy()
    world.open(one)
    world.answer()
    world.steps()
    world.push(update(one.alerts[0], 10_060, "no_data", state="resolved", resolution="stale"))
    world.steps()
    assert world.results(one) == ["not_verifiable"]
    assert world.fleet.states["checkout"]["version"] == "1.0.0"


def test_silence_ends_in_not_verifiable_after_the_timeout(world):
    one = bad_deploy()
    world.open(one)
    world.answer()
    world.steps()
    world.clock.at += 3_601
    world.steps()
    assert world.results(one) == ["not_verifiable"]


def test_a_restart_of_the_worker_keeps_a_waiting_approval_waiting(world):
    one = bad_deploy()
    world.open(one)
    (request,) = world.pending()
    world.restart()
    world.steps()
    assert world.pending() == [request]
    world.answer()
    world.restart()
    world.steps()
    world.restart()
    world.steps()
    assert world.fleet.actions == [("rollback", "checkout", {})]
    world.windows(one, "normal", "normal")
    world.restart()
    world.windows(one, "normal", first=10_180)
    assert world.results(one) == ["verified"]


def test_messages_that_cannot_be_read_are_passed_over(world):
    world.push(bad_deploy())
    world.log[0] = type(world.log[0])("incidents", 0, 0, "", b"{", 0.0)
    world.push(memory_leak(id="inc-2"))
    world.steps()
    assert [one.id for one in world.stores.incidents.open_incidents()] == ["inc-2"]


def test_a_decision_of_policy_keeps_its_reasons(world):
    one = bad_deploy()
    world.open(one)
    (row,) = [row for row in world.stores.runs.timeline(one.id) if row.kind == "policy"]
    assert row.details["answer"] == "ask"
    assert row.details["actions"] == ["rollback checkout"]
    assert row.details["reasons"] == list(world.pending()[0].verdict.reasons)
