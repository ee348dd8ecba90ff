"""An incident that gets worse while it is acted on: the rest does not happen, what was done is undone, a person is paged."""

from dataclasses import replace

import pytest

from remediation.catalogue import Proposal, Step
from remediation.execution import execute
from remediation.orders import Stop
from remediation.state import baseline_in
from remediation.worsening import Baseline, baseline_of, worsened
from sentinel.alerts import Severity
from sentinel.canonical import plain
from sentinel.incidents import IncidentStatus
from tests.remediation.test_execution import prepare
from tests.remediation.world import EFFECTIVE, alert, connection_leak, firing, later, settings

SCALE = Step(type="scale", service="cart", params={"replicas": 5}, reason="r")
RESTART = Step(type="restart", service="cart", params={}, reason="r")
ONE = connection_leak()
CRITICAL = alert("cart", "error_ratio", onset=EFFECTIVE + 1, severity=Severity.CRITICAL)
EARLY = replace(CRITICAL, onset_at=EFFECTIVE - 1)
MILD = replace(CRITICAL, severity=Severity.WARNING)
NEIGHBOUR = alert("web", onset=EFFECTIVE + 1)


def louder(one):
    return replace(one, alerts=tuple(replace(a, severity=Severity.CRITICAL) for a in one.alerts))


@pytest.mark.parametrize(
    ("now", "fired", "why"),
    [
        (ONE, (), ""),
        (replace(ONE, alerts=(*ONE.alerts, CRITICAL)), (), "new critical alert on cart"),
        (replace(ONE, alerts=(*ONE.alerts, EARLY)), (), ""),
        (replace(ONE, alerts=(*ONE.alerts, MILD)), (), ""),
        (louder(ONE), (), "severity rose from error to critical"),
        (replace(louder(ONE), status=IncidentStatus.RESOLVED), (), ""),
        (ONE, (firing(NEIGHBOUR),), "web began to fire"),
        (ONE, (firing(replace(NEIGHBOUR, onset_at=EFFECTIVE - 1)),), ""),
        (ONE, (firing(ONE.alerts[0]),), ""),
    ],
)
def test_what_counts_as_worse(now, fired, why):
    assert worsened(now, baseline_of(ONE), fired, EFFECTIVE) == why


def test_an_incident_of_a_humble_tier_is_no_worse_for_the_alerts_that_it_began_with():
    """Its own severity is lowered by the tier, so that its alerts outrank it from the start."""
    humble = replace(ONE, severity=Severity.INFO)
    assert worsened(humble, baseline_of(humble), (), EFFECTIVE) == ""


class After:
    """An executor during whose call number `when` something happens."""

    backend = "fleet"

    def __init__(self, inner):
        self.inner, self.calls, self.when, self.happens = inner, 0, 1, None

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def apply(self, *args):
        applied = self.inner.apply(*args)
        self.calls += 1
        if self.calls == self.when and self.happens:
            self.happens()
        return applied


def two_steps(world):
    order = prepare(world, SCALE, RESTART)
    return replace(order, baseline=baseline_of(ONE))


def test_the_second_action_does_not_begin(make_world):
    world = make_world(executor=After)
    order = two_steps(world)
    world.executor.happens = lambda: world.stores.incidents.upsert(later(ONE, alerts=(*ONE.alerts, CRITICAL)))
    done = execute(world.parts, order)
    assert (done.stop, done.reason) == (Stop.WORSENED, "new critical alert on cart")
    assert len(done.keys) == 1
    assert world.fleet.actions == [("scale", "cart", {"replicas": 5})]
    assert execute(world.parts, order) == done


def test_a_neighbour_that_begins_to_fire_stops_it_too(make_world):
    world = make_world(executor=After)
    order = two_steps(world)
    world.push(firing(NEIGHBOUR))
    world.executor.happens = lambda: world.worker.step(0)
    done = execute(world.parts, order)
    assert (done.stop, done.reason) == (Stop.WORSENED, "web began to fire")


def test_what_has_begun_is_seen_to_its_end(make_world):
    """After a crash both actions are in the ledger: nothing is left to be stopped, and both must be known to the undo."""
    world = make_world(executor=After)
    order = two_steps(world)
    first = execute(world.parts, order)
    assert first.stop is None
    world.stores.incidents.upsert(later(ONE, alerts=(*ONE.alerts, CRITICAL)))
    again = execute(world.parts, order)
    assert (again.stop, again.keys) == (None, first.keys)


def test_without_anything_new_both_actions_run(make_world):
    world = make_world(executor=After)
    world.executor.happens = lambda: world.stores.incidents.upsert(later(ONE, alerts=(*ONE.alerts, EARLY)))
    assert execute(world.parts, two_steps(world)).stop is None
    assert len(world.fleet.actions) == 2


class TwoSteps:
    name = "runbook"

    def plan(self, analysis, failed):
        return Proposal(
            planner="runbook", runbook="two", summary="s", steps=(SCALE, RESTART), cites=(analysis.items[0].id,)
        )


def paged(world):
    return [notice.text for notice in world.notices.notices if notice.kind == "escalated"]


@pytest.mark.parametrize("mode", ["approve", "auto"])
def test_a_run_stops_undoes_and_pages(make_world, mode):
    config = settings(mode=mode, automatic=[{"action": "scale"}, {"action": "restart"}])
    world = make_world(config, planner=TwoSteps(), executor=After)
    worse = later(ONE, alerts=(*ONE.alerts, CRITICAL))
    world.executor.happens = lambda: world.stores.incidents.upsert(worse)
    world.open(ONE)
    if mode == "approve":
        world.answer()
        world.steps()
    assert world.fleet.actions == [("scale", "cart", {"replicas": 5}), ("scale", "cart", {"replicas": 3})]
    (outcome,) = world.stores.outcomes.find(ONE.id)
    assert (outcome.result, outcome.undone) == ("worse", True)
    assert paged(world) == ["it got worse while it was acted on: new critical alert on cart after 1 of 2 actions"]
    assert world.kinds(ONE).count("escalated") == 1
    assert world.pending() == []


def test_while_it_is_watched_a_critical_alert_ends_it_at_once(world):
    world.open(ONE)
    world.answer()
    world.steps()
    assert len(world.fleet.actions) == 1
    world.push(later(ONE, alerts=(*ONE.alerts, CRITICAL)))
    world.steps()
    assert world.results(ONE) == ["worse"]
    assert world.fleet.actions[-1] == ("scale", "cart", {"replicas": 3})
    assert len(paged(world)) == 1


def test_while_it_is_watched_one_symptom_more_is_left_to_the_judgement(world):
    """A saturation (warning) that also shows as errors: the fix did not help, and another plan may."""
    mild = replace(ONE, alerts=tuple(replace(one, severity=Severity.WARNING) for one in ONE.alerts))
    world.open(mild)
    world.answer()
    world.steps()
    world.push(later(mild, alerts=(*mild.alerts, replace(CRITICAL, severity=Severity.ERROR))))
    world.steps()
    assert world.results(mild) == []
    assert paged(world) == []


def test_while_it_is_watched_what_was_there_before_changes_nothing(world):
    world.open(ONE)
    world.answer()
    world.steps()
    world.push(later(ONE, severity=Severity.CRITICAL, alerts=(*ONE.alerts, EARLY)))
    world.steps()
    assert world.results(ONE) == []
    assert paged(world) == []


def test_a_baseline_survives_the_checkpoint():
    kept = Baseline(severity=Severity.ERROR, alerts=("a", "b"))
    assert baseline_in({"baseline": plain(kept)}) == kept
    assert baseline_in({}) is None


@pytest.mark.parametrize(("severity", "results"), [(Severity.CRITICAL, ["worse"]), (Severity.ERROR, [])])
def test_while_it_is_watched_a_critical_neighbour_ends_it_before_things_have_settled(world, severity, results):
    """A mild one may be the action's own doing, and is left to the judgement."""
    world.open(ONE)
    world.answer()
    world.steps()
    world.push(firing(replace(NEIGHBOUR, severity=severity)))
    world.steps()
    assert world.results(ONE) == results
    assert bool(paged(world)) is bool(results)
