"""kill -9 at any moment, with the broker running on: no telemetry lost, no incident twice, no action twice."""

from __future__ import annotations

import pytest

from sentinel.alerts import AlertState
from sentinel.runs import RunStatus
from tests.e2e.judgement import end_of_story
from tests.e2e.topics import tapped
from tests.e2e.world import SERVICE, World, open_world

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]


def crash(world: World) -> None:
    """SIGKILL to `up`, and start it again at once."""
    world.kill("up")
    world.up()


def test_up_is_killed_at_ten_points_of_the_loop(kafka_broker, tmp_path):
    with open_world(tmp_path, kafka_broker.bootstrap) as world:
        world.up()
        world.run_fleet()
        world.until("some history", lambda: world.decoded() > 5_000)
        part = world.decoded()
        crash(world)  # 1: in the middle of the history
        world.live()
        assert part < world.fleet.clock()["events"]
        with tapped(world.settings) as tap:
            world.fleet.set_clock(paused=False)
            world.until("live telemetry", lambda: world.decoded() > 0)
            world.fleet.inject("bad_deploy", SERVICE)
            crash(world)  # 2: right after the fault, and windows are open
            world.until("an alert", lambda: [a for a in tap.read().alerts if a.state is AlertState.FIRING])
            crash(world)  # 3: the alert fires
            world.until("an incident in the view", world.incidents)
            crash(world)  # 4: the incident has opened
            asked = world.until("a question", world.asked)
            crash(world)  # 5: the approval waits
            assert world.asked() == asked
            world.gate.hold_action = True
            world.approve(asked)
            crash(world)  # 6: right after the decision
            world.until("the action on its way", world.gate.held.is_set)
            assert world.done() == []
            world.kill("up")  # 7: executing, and the action has not arrived
            world.gate.open()
            world.gate.hold_answer = True
            world.up()
            world.until("the action to be done", world.gate.held.is_set)
            assert world.done() == [("rollback", SERVICE)]
            world.kill("up")  # 8: executing, the action is done and nobody knows
            world.gate.open()
            world.up()
            world.until("the run to verify", lambda: status(world) is RunStatus.VERIFYING)
            crash(world)  # 9: verifying
            world.until("the outcome", lambda: world.api.incident(asked.incident_id).outcomes)
            crash(world)  # 10: right after the outcome
            view = end_of_story(world, tap)
        assert world.starts["up"] == 11
        assert asked.id in {one.request.id for one in view.approvals if one.decision}
        assert world.processes["up"].stop(seconds=15) == 0


@pytest.mark.postgres
def test_each_process_is_killed_while_it_is_needed(kafka_broker, clickhouse_server, postgres_database, tmp_path):
    stores = {"history": clickhouse_server.url(tmp_path.name), "database": postgres_database}
    with open_world(tmp_path, kafka_broker.bootstrap, {"stores": stores}) as world:
        for name, *arguments in (("pipeline", "run", "pipeline"), ("archive", "run", "archive"), ("worker",)):
            world.start(name, *arguments)
        world.start("api", ready=world.ready)
        world.run_fleet()
        world.until("the archive at work", world.api.series)
        world.kill("archive")
        world.live()
        world.start("archive")
        with tapped(world.settings) as tap:
            world.fleet.set_clock(paused=False)
            world.fleet.inject("bad_deploy", SERVICE)
            world.until("an alert", lambda: tap.read().alerts)
            world.kill("pipeline")
            world.start("pipeline")
            asked = world.until("a question", world.asked)
            world.kill("api")
            world.start("api", ready=world.ready)
            assert world.asked() == asked
            world.gate.hold_answer = True
            world.approve(asked)
            world.until("the action to be done", world.gate.held.is_set)
            world.kill("worker")
            world.gate.open()
            world.start("worker")
            world.until("the run to go on", lambda: status(world) is not RunStatus.RUNNING)
            end_of_story(world, tap)


def status(world: World) -> RunStatus | None:
    runs = [run for incident in world.incidents() for run in world.api.incident(incident.id).runs]
    return runs[0].status if runs else None
