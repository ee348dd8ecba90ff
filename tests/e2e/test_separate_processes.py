"""Every part as a process of its own, joined by Kafka, PostgreSQL and ClickHouse's HTTP interface alone."""

from __future__ import annotations

import pytest

from sentinel.alerts import AlertState
from tests.e2e.judgement import end_of_story
from tests.e2e.topics import tapped, telemetry, traces
from tests.e2e.world import SERVICE, open_world

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(240)]


def test_the_loop_closes_and_one_trace_id_leads_through_it(
    kafka_broker, clickhouse_server, postgres_database, tmp_path
):
    stores = {"history": clickhouse_server.url(tmp_path.name), "database": postgres_database}
    with open_world(tmp_path, kafka_broker.bootstrap, {"stores": stores}) as world:
        for name, *arguments in (
            ("detect", "run", "detect"),
            ("incidents", "run", "incidents"),
            ("archive", "run", "archive"),
            ("worker",),
        ):
            world.start(name, *arguments)
        world.start("api", ready=world.ready)
        world.run_fleet()
        world.live()
        with tapped(world.settings) as tap:
            world.fleet.set_clock(paused=False)
            world.fleet.inject("bad_deploy", SERVICE)
            world.approve(world.until("a question", world.asked))
            view = end_of_story(world, tap)
        trace_id = view.incident.trace_id
        alert = next(a for a in tap.alerts if a.state is AlertState.FIRING and a.trace_id == trace_id)
        assert traces(telemetry(world.settings))[trace_id] == alert.service, "the message's own traceparent header"
        assert alert.alert_id in {one.alert_id for one in view.incident.alerts}
        assert view.runs[0].trace_id == trace_id
        assert view.outcomes[0].trace_id == trace_id
        by_worker = world.api.audit(actor="worker", limit=200).items
        assert {"asked", "executed", "verified", "recorded"} <= {record.action for record in by_worker}
        assert {record.trace_id for record in by_worker} == {trace_id}
        for name, process in world.processes.items():
            assert process.stop(seconds=15) == 0, f"{name}: {process.log_tail()}"
