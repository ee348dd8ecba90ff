"""What becomes of a question: unanswered, taken back, asked anew."""

from sentinel.approvals import ApprovalStatus
from sentinel.incidents import IncidentStatus
from tests.remediation.world import alert, bad_deploy, deploy, incident, later


def test_a_question_that_nobody_answers_is_asked_again_and_in_the_end_nothing_runs(world):
    one = bad_deploy()
    world.open(one)
    digests = set()
    for asked in (1, 2, 3):
        (request,) = world.pending()
        assert request.asked == asked
        digests.add(request.digest)
        world.clock.at += 901
        world.steps()
    assert len(digests) == 1
    assert world.pending() == []
    assert world.fleet.actions == []
    assert world.stores.outcomes.find(one.id)[0].reason == "no answer in time to 3 questions"
    told = [(notice.kind, notice.request.asked) for notice in world.notices.notices if notice.request]
    assert told == [("asked", 1), ("asked", 2), ("asked", 3), ("unanswered", 3)]
    assert world.kinds(one).count("unanswered") == 1


def test_the_second_question_can_still_be_answered(world):
    one = bad_deploy()
    world.open(one)
    world.clock.at += 901
    world.steps()
    world.answer()
    world.steps()
    assert world.fleet.actions == [("rollback", "checkout", {})]


def test_an_approval_that_ran_out_before_the_worker_saw_it_does_not_count(world):
    one = bad_deploy()
    world.open(one)
    world.answer()
    world.clock.at += 901
    world.steps()
    assert world.fleet.actions == []
    assert [request.asked for request in world.pending()] == [2]


def test_an_incident_that_recovers_by_itself_takes_the_question_back(world):
    one = bad_deploy()
    world.open(one)
    (request,) = world.pending()
    world.push(later(one, status=IncidentStatus.RESOLVED, resolved_at=9_500.0))
    world.steps()
    assert world.stores.approvals.get(request.id).status is ApprovalStatus.SUPERSEDED
    (outcome,) = world.stores.outcomes.find(one.id)
    assert (outcome.result, outcome.reason) == ("not_executed", "the incident recovered by itself")


def test_another_first_suspect_takes_the_question_back_and_analyses_again(world):
    one = bad_deploy()
    world.open(one)
    (request,) = world.pending()
    both = (alert(), alert("payments"))
    world.push(later(incident(*both, suspect="payments", changes=(deploy("payments"),))))
    world.steps()
    assert world.stores.approvals.get(request.id).status is ApprovalStatus.SUPERSEDED
    (again,) = world.pending()
    assert again.plan.actions[0].target.name == "payments"
    assert again.asked == 1


def test_drift_of_the_target_takes_the_approval_back_and_asks_with_a_new_digest(world):
    one = bad_deploy()
    world.open(one)
    (request,) = world.pending()
    world.fleet.touch("checkout", replicas=7)
    world.answer()
    world.steps()
    assert world.fleet.actions == []
    (again,) = world.pending()
    assert again.digest != request.digest
    assert again.previews[0].before["replicas"] == 7
    world.answer()
    world.steps()
    assert world.fleet.actions == [("rollback", "checkout", {})]
