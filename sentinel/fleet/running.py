"""Run the simulated fleet: telemetry into Kafka and control over HTTP, until told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sentinel.catalogue import ServiceCatalogue
from sentinel.config import KafkaSettings
from sentinel.fleet.model import make_fleet
from sentinel.fleet.producing import TelemetryWriter, produce_history, produce_live
from sentinel.fleet.server import serve_fleet
from sentinel.fleet.settings import FleetSettings
from sentinel.kafka import Publisher, ensure_topics
from sentinel.logs import get_logger
from sentinel.topics import Topics

log = get_logger(__name__)


def run_fleet(
    settings: FleetSettings,
    kafka: KafkaSettings,
    catalogue: ServiceCatalogue,
    stop: threading.Event,
    *,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Produce the history, then live telemetry, and serve the HTTP control all the while; returns after `stop` is set.

    Works in a thread as in a process of its own. `ready` gets the base URL of the control before the first message.
    When the live phase ends, the control goes on answering. Raises `TransientError` or `PermanentError` when the
    broker is away or refuses, and `PermanentError` when the address is in use.
    """
    ensure_topics(kafka)
    fleet = make_fleet(catalogue, settings, time.monotonic, live=False)
    with Publisher(kafka) as publisher, serve_fleet(fleet, settings.host, settings.port) as url:
        if ready:
            ready(url)
        topic = Topics(kafka.topic_prefix).telemetry
        writer = TelemetryWriter(publisher, topic, fleet.services, environment=settings.environment, seed=settings.seed)
        log.info("fleet runs", url=url, services=len(fleet.services), live_start=settings.live_start.isoformat())
        produce_history(fleet, writer, stop)
        log.info("history is produced", events=fleet.events_produced)
        produce_live(fleet, writer, stop)
        stop.wait()
