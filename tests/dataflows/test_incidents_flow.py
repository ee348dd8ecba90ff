"""The incidents flow as Bytewax runs it: on lists with a crash in between, and on a real broker."""

import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, TestingSource, run_main

from dataflows.incidents import IncidentParts, flow, wire_incidents
from dataflows.sources import Reading
from operators.incident_settings import EnrichSettings, GroupingSettings, IncidentSettings
from sentinel.alerts import AlertMessage
from sentinel.broker import EmbeddedBroker
from sentinel.canonical import digest
from sentinel.config import KafkaSettings
from sentinel.decisions import Decision
from sentinel.incidents import Incident, IncidentStatus
from sentinel.kafka import LogReader, Publisher, ensure_topics
from sentinel.outcomes import Outcome
from sentinel.topics import Topics, decode, encode
from tests.operators.incident_samples import SETTINGS, SHOP, DictMemory, ListHistory, message, outcome, resolved, update

QUICK = IncidentSettings(
    grouping=GroupingSettings(idle_seconds=0.3), enrich=EnrichSettings(recheck_seconds=0.1, retry_seconds=0.1)
)


def fault() -> list[AlertMessage]:
    """A fault in payments that shows in its callers, heals, and is seen to be over by a later alert elsewhere."""
    lives = [message("payments"), message("checkout", onset=120.0), message("web", onset=120.0)]
    updates = [update(one, 240.0 + 60.0 * n) for n in range(3) for one in lives]
    ends = [resolved(one, 480.0) for one in lives]
    return [*lives, *updates, *ends, message("search", onset=6000.0)]


def parts(settings: IncidentSettings = SETTINGS, memory: DictMemory | None = None) -> IncidentParts:
    return IncidentParts(
        settings=settings, catalogue=SHOP, history=ListHistory(), memory=memory or DictMemory(), now=time.time
    )


def run(
    items: Sequence[Any], made_of: IncidentParts, recovery: RecoveryConfig | None = None
) -> tuple[list[Incident], list[Decision]]:
    """Feed messages (and outcomes) in order through the steps."""
    incidents: list[Incident] = []
    rows: list[Decision] = []
    dataflow = Dataflow("test")
    source = op.input("in", dataflow, TestingSource(items))
    alerts = op.filter_map("alerts", source, lambda item: item if isinstance(item, AlertMessage) else None)
    outcomes = op.filter_map("outcomes", source, lambda item: item if isinstance(item, Outcome) else None)
    streams = wire_incidents(alerts, outcomes, made_of)
    op.output("incidents_out", streams.incidents, TestingSink(incidents))
    op.output("decisions_out", streams.decisions, TestingSink(rows))
    run_main(dataflow, recovery_config=recovery)
    return incidents, rows


def test_a_fault_makes_one_incident_with_few_revisions():
    incidents, rows = run(fault(), parts())
    shop = [incident for incident in incidents if "payments" in incident.services]
    assert len({incident.id for incident in shop}) == 1
    assert len(shop) == 7, "3 alerts join, 3 resolve, then the incident; the 9 windows in between say nothing new"
    assert [incident.revision for incident in shop] == sorted({incident.revision for incident in shop})
    assert shop[0].revision == 1
    assert shop[2].title == "errors in payments (and 2 callers)"
    assert shop[-1].status is IncidentStatus.RESOLVED
    assert shop[-1].resolved_at == 480.0
    stages = {(row.stage, row.verdict) for row in rows}
    assert {("correlate", "opened"), ("correlate", "joined"), ("enrich", "new"), ("dedupe", "published")} <= stages
    assert all(row.config_hash and row.reason and row.incident_id for row in rows)
    assert len({row.decision_id for row in rows}) == len(rows)


def test_memory_learns_the_outcome_and_the_next_incident_cites_it():
    memory = DictMemory()
    first = fault()
    incidents, _ = run(first, parts(memory=memory))
    known = incidents[0].id
    again = [replace(message("payments", onset=90_000.0), alert_id="alr-later")]
    later, rows = run([outcome(known), *again], parts(memory=memory))
    assert later[0].recurrence_of == known
    assert later[0].context.similar[0].action == "rollback payments"
    assert any(row.verdict == "recurrence" and "verified: rollback payments" in row.reason for row in rows)
    assert any(row.verdict == "outcome_written" for row in rows)


def test_an_alert_without_service_is_refused_and_nothing_stops():
    broken = replace(message("payments"), rule="")
    incidents, rows = run([broken, message("payments")], parts())
    assert len(incidents) == 1
    assert [row.verdict for row in rows if row.stage == "correlate"] == ["refused", "opened"]


@pytest.mark.slow
@pytest.mark.parametrize("crash_at", [1, 2, 4, 8, 11, 12, 13])
def test_a_crash_repeats_revisions_and_changes_none(tmp_path: Path, crash_at: int):
    init_db_dir(tmp_path, 1)
    recovery = RecoveryConfig(str(tmp_path))
    whole, _ = run(fault(), parts())
    items = fault()
    items.insert(crash_at, TestingSource.ABORT())  # type: ignore[arg-type]
    made_of = parts()
    before, _ = run(items, made_of, recovery)
    after, _ = run(items, made_of, recovery)
    told = {(incident.id, incident.revision, digest(_plain(incident))) for incident in (*before, *after)}
    assert told == {(incident.id, incident.revision, digest(_plain(incident))) for incident in whole}


def _plain(incident: Incident) -> Incident:
    """Without what a crash may change: the suspects' context that was looked up at another moment."""
    return replace(incident, updated_at=0.0)


@pytest.mark.slow
def test_from_topic_to_topic(tansu_broker: EmbeddedBroker):
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    kafka, topics = KafkaSettings(bootstrap=tansu_broker.bootstrap, topic_prefix=prefix), Topics(prefix)
    ensure_topics(kafka)
    memory = DictMemory()
    with Publisher(kafka) as out:
        for item in fault()[:-1]:
            out.publish(topics.alerts, item.alert_id, encode(item))
        out.publish(topics.alerts, "garbage", b"{not json")
    stop = threading.Event()
    running = threading.Thread(
        target=run_main, args=(flow(Reading(kafka, "incidents", stop=stop), topics, parts(QUICK, memory)),)
    )
    running.start()
    try:
        seen: list[Incident] = []
        with LogReader(kafka, [topics.incidents]) as reader:
            deadline = time.monotonic() + 20.0
            while time.monotonic() < deadline and not any(i.status is IncidentStatus.RESOLVED for i in seen):
                seen += [decode(record.value, Incident) for record in reader.take()]
        with Publisher(kafka) as out:
            out.publish(topics.outcomes, seen[-1].id, encode(outcome(seen[-1].id)))
        while time.monotonic() < deadline and not any(e.outcome for e in memory.entries.values()):
            stop.wait(0.05)
    finally:
        stop.set()
        running.join(10.0)
    assert seen[-1].status is IncidentStatus.RESOLVED, "silence ended the linger"
    assert len({incident.id for incident in seen}) == 1
    assert memory.entries[seen[-1].id].outcome == "verified"
    with LogReader(kafka, [topics.decisions]) as reader:
        rows = [decode(record.value, Decision) for record in reader.take(timeout=5.0)]
    assert {"correlate", "enrich", "dedupe"} <= {row.stage for row in rows}
