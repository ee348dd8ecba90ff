"""Whole runs on AWS: planned by the page's runbook, approved, executed once, waited for, verified or undone."""

import re
import time

import pytest

from remediation.planners.runbook import RunbookPlanner
from remediation.runbooks import load_runbooks
from sentinel.catalogue import ServiceCatalogue
from tests.remediation.aws.world import ACCOUNT, REGION
from tests.remediation.plugin_package import PAGE
from tests.remediation.world import World, bad_deploy, settings


@pytest.fixture
def run(make_world, world, tmp_path):
    """A worker whose service `checkout` is the account's service of ECS, with a new executor for each new worker."""
    book = re.findall(r"```yaml runbook\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    (tmp_path / "book.yaml").write_text(book)
    resource = f"{ACCOUNT}:{REGION}/ecs/{world.name}/cart"
    catalogue = {"web": {"calls": ["checkout"]}, "checkout": {"backend": "aws", "resource": resource, "tier": 1}}

    class Run(World):
        def executors(self):
            return {"aws": world.executor()}

    config = settings(allow=[{"actions": ["ecs_rollback"], "backend": "aws", "name": f"{world.name}/cart"}])
    services = ServiceCatalogue.model_validate({"services": catalogue})
    made = make_world(config, Run, planner=RunbookPlanner(load_runbooks(tmp_path)), services=services)
    made.clock.at = time.time()
    return made


def revision(world):
    return world.service()["taskDefinition"].rpartition(":")[2]


def start(run):
    one = bad_deploy()
    run.open(one)
    assert [request.plan.runbook for request in run.pending()] == ["ecs-bad-deploy"]
    return one


def go_on(run, world, seconds=7):
    """Time passes, and the worker tries again what was transient."""
    run.clock.at += seconds
    world.clock.at += seconds
    run.steps()


def judged(run, world, one, *verdicts):
    run.windows(one, *verdicts, first=world.clock.at + 120)


def test_a_roll_back_is_approved_waited_for_and_verified(run, world):
    one = start(run)
    newest = revision(world)
    assert world.double.effects.total() == 0
    world.double.lag = 2
    run.answer()
    run.steps()
    assert world.double.effects == {"UpdateService": 1}
    assert "executed" not in run.kinds(one)
    for _ in range(4):
        go_on(run, world)
    assert run.kinds(one)[-2:] == ["executing", "executed"]
    judged(run, world, one, "normal", "normal", "normal")
    assert run.results(one) == ["verified"]
    assert int(revision(world)) == int(newest) - 1
    assert world.double.effects == {"UpdateService": 1}


def test_a_lost_answer_and_a_new_worker_act_once(run, world):
    one = start(run)
    world.double.faults["UpdateService"] = ["lost"]
    run.answer()
    run.steps()
    assert "executed" not in run.kinds(one)
    run.restart()
    for _ in range(3):
        go_on(run, world)
    assert world.double.effects == {"UpdateService": 1}
    judged(run, world, one, "normal", "normal", "normal")
    assert run.results(one) == ["verified"]


def test_what_did_not_help_is_undone(run, world):
    one = start(run)
    newest = revision(world)
    run.answer()
    run.steps()
    assert revision(world) != newest
    judged(run, world, one, *["abnormal"] * 10)
    for _ in range(3):
        go_on(run, world)
    assert revision(world) == newest
    assert run.stores.outcomes.find(one.id)[0].undone
    assert world.double.effects == {"UpdateService": 2}


def test_a_roll_out_that_fails_is_undone_and_not_verified(run, world):
    one = start(run)
    newest = revision(world)
    world.double.rollout = "FAILED"
    run.answer()
    run.steps()
    world.double.rollout = ""
    for _ in range(3):
        go_on(run, world)
    assert run.results(one) == ["not_verifiable"]
    assert revision(world) == newest


def test_somebody_elses_change_asks_again(run, world):
    one = start(run)
    world.ecs.update_service(cluster=world.name, service="cart", desiredCount=8)
    run.answer()
    run.steps()
    assert world.double.effects.total() == 0
    assert len(run.pending()) == 1
    assert "superseded" in run.kinds(one)
    run.answer()
    run.steps()
    assert world.double.effects == {"UpdateService": 1}
