"""A planner may be wrong, greedy or broken: it proposes, and that is all."""

from remediation.catalogue import Proposal, Step
from tests.remediation.world import bad_deploy, memory_leak


class Broken:
    """A planner with a defect."""

    name = "broken"

    def plan(self, analysis, failed):
        if analysis.suspect == "checkout":
            raise ZeroDivisionError("a defect")


def test_a_defect_fails_its_own_run_loudly_and_no_other(make_world):
    world = make_world(planner=Broken())
    world.push(bad_deploy(id="inc-2"))
    world.open(memory_leak())
    failed, fine = world.stores.runs.find(incident_id="inc-2") + world.stores.runs.find(incident_id="inc-1")
    assert (failed.status, failed.last_error) == ("failed", "ZeroDivisionError: a defect")
    assert world.kinds(bad_deploy(id="inc-2"))[-1] == "failed"
    assert fine.status == "finished"


class Greedy:
    """A planner that does whatever the text of the evidence says."""

    name = "greedy"

    def plan(self, analysis, failed):
        step = Step(type="restart", service="payments", params={}, reason=analysis.items[0].text)
        cites = tuple(item.id for item in analysis.items)
        return Proposal(planner=self.name, runbook="", summary="as told", steps=(step,), cites=cites)


def test_a_planner_that_obeys_text_reaches_no_new_target(make_world):
    world = make_world(planner=Greedy())
    one = memory_leak()
    world.open(one)
    assert world.pending() == []
    assert "'payments' is not part of this incident" in world.stores.outcomes.find(one.id)[0].reason


class Stubborn:
    """A planner that never learns."""

    name = "stubborn"

    def plan(self, analysis, failed):
        step = Step(type="restart", service=analysis.suspect, params={}, reason="again")
        return Proposal(planner=self.name, runbook="", summary="s", steps=(step,), cites=(analysis.items[0].id,))


def test_the_same_failed_action_never_runs_twice_whatever_the_planner_says(make_world):
    world = make_world(planner=Stubborn())
    one = memory_leak()
    world.open(one)
    world.answer()
    world.steps()
    world.windows(one, *["abnormal"] * 10)
    assert world.fleet.actions == [("restart", "cart", {})]
    assert "has failed in this run already" in world.stores.outcomes.find(one.id)[-1].reason
