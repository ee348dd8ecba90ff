"""Detection and incidents as one flow on the embedded broker, joined by the `alerts` topic."""

from __future__ import annotations

import threading
import time
import uuid

import pytest

from dataflows import pipeline
from dataflows.detect import layout
from dataflows.incidents import IncidentParts
from dataflows.running import run_flow
from sentinel.config import KafkaSettings
from sentinel.incidents import Incident
from sentinel.kafka import LogReader, ensure_topics
from sentinel.topics import Topics, decode
from tests.dataflows.shop_telemetry import SERVICES, SETTINGS, patient, publish_all
from tests.operators.incident_samples import SETTINGS as INCIDENTS
from tests.operators.incident_samples import SHOP, DictMemory, ListHistory


@pytest.mark.slow
def test_telemetry_becomes_incidents_in_one_flow(tansu_broker, tmp_path):
    kafka = KafkaSettings(bootstrap=tansu_broker.bootstrap, topic_prefix=f"t{uuid.uuid4().hex[:8]}.")
    ensure_topics(kafka)
    publish_all(kafka)
    topics, stop = Topics(kafka.topic_prefix), threading.Event()
    found: list[Incident] = []

    def watch() -> None:
        end = time.monotonic() + 60
        with LogReader(kafka, [topics.incidents]) as reader:
            while {service for one in found for service in one.services} < set(SERVICES) and time.monotonic() < end:
                found.extend(decode(record.value, Incident) for record in reader.take(timeout=0.3))
        stop.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    reading = SETTINGS.reading(kafka, "shop-pipeline", stop)
    grouping = IncidentParts(settings=INCIDENTS, catalogue=SHOP, history=ListHistory(), memory=DictMemory())
    flow = pipeline.flow(reading, topics, patient(), grouping)
    run_flow(flow, tmp_path / "state", layout(reading, topics, patient()), SETTINGS)
    watcher.join()
    assert {service for one in found for service in one.services} == set(SERVICES)
