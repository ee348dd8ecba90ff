"""While the kill switch is on nothing acts, wherever a run stands when it is turned; a file is enough to turn it."""

from dataclasses import replace

import pytest

from remediation.catalogue import Step
from remediation.execution import execute
from remediation.live import killed
from remediation.orders import Stop
from remediation.rollback import undo
from sentinel.errors import TransientError
from sentinel.runs import LedgerStatus
from sentinel.stores.sql.stores import SqlStores
from tests.remediation.test_execution import prepare
from tests.remediation.world import bad_deploy, connection_leak, settings


def turn(world, *, on=True):
    return world.stores.kill_switch.turn(on=on, actor="ann", reason="storm", now=world.clock())


class TurnedMeanwhile:
    """A journal at whose word somebody turns the switch."""

    def __init__(self, world, kind):
        self.world, self.kind = world, kind

    def tell(self, about, entry):
        if entry.kind == self.kind:
            turn(self.world)
        return self.world.parts.journal.tell(about, entry)


def test_an_approved_order_does_not_run(world):
    order = prepare(world)
    turn(world)
    done = execute(world.parts, order)
    assert done.stop is Stop.DENIED
    assert done.reason.startswith("kill switch: on, by ann: storm")
    assert world.fleet.actions == []


def test_it_is_seen_right_before_the_call(world):
    order = prepare(world)
    done = execute(replace(world.parts, journal=TurnedMeanwhile(world, "executing")), order)
    assert done.stop is Stop.DENIED
    assert world.fleet.actions == []
    (entry,) = world.stores.ledger.find(run_id="run-1")
    assert entry.status is LedgerStatus.FAILED


def test_a_deed_that_happened_before_a_crash_is_still_learnt(world):
    order = prepare(world)
    applied = execute(world.parts, order)
    entry = world.stores.ledger.get(applied.keys[0])
    turn(world)
    assert killed(world.parts, entry.action.target, str(entry.pre_state["resource_version"])) == ""
    assert killed(world.parts, entry.action.target, "2").startswith("kill switch")


def test_the_second_action_of_a_plan_does_not_begin(world):
    steps = (
        Step(type="scale", service="cart", params={"replicas": 5}, reason="r"),
        Step(type="restart", service="cart", params={}, reason="r"),
    )
    order = prepare(world, *steps)
    done = execute(replace(world.parts, journal=TurnedMeanwhile(world, "executed")), order)
    assert done.stop is Stop.DENIED
    assert [kind for kind, _, _ in world.fleet.actions] == ["scale"]


def test_an_undo_waits_for_no_one_and_does_not_begin(world):
    order = prepare(world)
    done = execute(world.parts, order)
    turn(world)
    undone = undo(world.parts, order.about, done.keys)
    assert not undone.complete
    assert "kill switch" in undone.lines[0]
    assert len(world.fleet.actions) == 1


def test_a_run_of_the_graph_ends_as_not_executed_and_off_lets_the_next_one_act(make_world):
    world = make_world(settings(mode="auto", automatic=[{"action": "scale"}]))
    turn(world)
    world.open(connection_leak())
    assert world.results(connection_leak()) == ["not_executed"]
    assert world.fleet.actions == []
    turn(world, on=False)
    world.open(bad_deploy(id="inc-2"))
    world.answer()
    world.steps()
    assert [kind for kind, _, _ in world.fleet.actions] == ["rollback"]


def test_a_file_is_enough(world, tmp_path):
    order = prepare(world)
    file = tmp_path / "STOP"
    stores = SqlStores.over(world.stores.database, kill_switch_file=file)
    parts = replace(world.parts, stores=stores)
    file.touch()
    done = execute(parts, order)
    assert done.stop is Stop.DENIED
    assert str(file) in done.reason
    file.unlink()
    assert execute(parts, order).stop is None


def test_a_database_that_is_away_stops_too(world):
    order = prepare(world)

    class Away:
        def read(self):
            raise TransientError("away")

    with pytest.raises(TransientError):
        execute(replace(world.parts, stores=replace(world.stores, kill_switch=Away())), order)
    assert world.fleet.actions == []


def test_the_dry_run_flag_outweighs_the_executor(make_world):
    world = make_world(settings(dry_run=True))
    done = execute(world.parts, prepare(world))
    assert done.stop is Stop.DRY_RUN
    assert world.fleet.actions == []
