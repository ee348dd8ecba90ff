"""Something that Sentinel needs is not there: the loop goes on without it, or a clear error names the remedy."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from sentinel.cli.output import EXIT_AWAY, EXIT_FAILED
from sentinel.incidents import Incident
from sentinel.outcomes import Result
from tests.e2e.topics import Tap, tapped
from tests.e2e.world import open_world
from tests.services.processes import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

LEAKING = "recommendations"


def test_without_clickhouse_and_qdrant_the_loop_goes_on_and_says_what_is_missing(tansu_broker, tmp_path):
    nobody = {
        "history": f"clickhouse://default@127.0.0.1:{free_port()}/sentinel",
        "memory": f"http://127.0.0.1:{free_port()}",
    }
    with open_world(tmp_path, tansu_broker.bootstrap, {"stores": nobody}) as world:
        world.up()
        assert world.api.health().state == "degraded"
        world.run_fleet()
        world.live()
        with tapped(world.settings) as tap:
            world.fleet.set_clock(paused=False)
            world.fleet.inject("memory_leak", LEAKING)
            world.approve(world.until("a question", lambda: world.asked(LEAKING)))
            outcome = world.until("an outcome", lambda: tap.read().outcomes)[0]
            assert outcome.result is Result.VERIFIED, outcome.reason
            assert world.done() == [("restart", LEAKING)]
            assert last(tap).context.missing == ("history", "memory")
        view = world.api.incident(outcome.incident_id)
        assert view.incident.context.missing == ("history", "memory")
        assert view.missing == ("history",)
        assert world.processes["up"].stop(seconds=15) == 0


def last(tap: Tap) -> Incident:
    return tap.read().incidents[-1]


def test_a_second_sentinel_on_the_same_state_names_the_remedy(tansu_broker, tmp_path):
    with open_world(tmp_path, tansu_broker.bootstrap) as world:
        world.up()
        for command in (["up"], ["run", "pipeline"]):
            second = world.command(*command)
            assert second.returncode == EXIT_FAILED, second.stderr
            assert "owned by another process" in second.stderr
            assert "clickhouse://" in second.stderr, "the remedy"
            assert "Traceback" not in second.stderr
        assert world.ready(), "the first one goes on"
        assert world.processes["up"].stop(seconds=15) == 0


def test_a_broker_that_is_away_at_the_start_is_a_clear_error(tmp_path):
    commands = (["up"], ["run", "detect"], ["run", "archive"], ["worker"], ["fleet"])
    with open_world(tmp_path, f"127.0.0.1:{free_port()}") as world, ThreadPoolExecutor(len(commands)) as pool:
        for result in pool.map(lambda command: world.command(*command), commands):
            assert result.returncode == EXIT_AWAY, result.stderr
            assert world.settings.kafka.bootstrap in result.stderr
            assert "kafka.bootstrap" in result.stderr, "the remedy"
            assert "Traceback" not in result.stderr
