"""The flow from alerts to incidents: `alerts` and `outcomes` in, `incidents` and `decisions` out.

`correlate` groups, `enrich` adds facts and ranks, `dedupe` publishes what is new. One process runs it: any alert may
join any incident, and one order of messages makes grouping replay the same after a crash.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream

from dataflows.sinks import Outgoing, decision_out, write
from dataflows.sources import Reading, read_messages
from operators.correlate import correlate
from operators.dedupe import dedupe
from operators.enrich import enrich
from operators.incident_facts import FactFinder
from operators.incident_group import GroupEvent
from operators.incident_settings import IncidentSettings
from sentinel.alerts import AlertMessage
from sentinel.catalogue import ServiceCatalogue
from sentinel.decisions import Decision
from sentinel.incidents import Incident
from sentinel.outcomes import Outcome
from sentinel.stores.history.protocol import SeriesHistory
from sentinel.stores.memory.protocol import IncidentMemory
from sentinel.topics import Topics, encode
from sentinel.traces import HEADER, write_traceparent

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentParts:
    """What the flow is made of. The stores are open and stay the caller's to close; `now` is wall time in seconds."""

    settings: IncidentSettings
    catalogue: ServiceCatalogue
    history: SeriesHistory
    memory: IncidentMemory
    now: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class IncidentStreams:
    """What comes out of the flow's steps."""

    incidents: Stream[Incident]
    decisions: Stream[Decision]


def wire_incidents(alerts: Stream[AlertMessage], outcomes: Stream[Outcome], parts: IncidentParts) -> IncidentStreams:
    """Put the steps behind two streams of decoded messages; the caller joins what comes out to its sinks."""
    finder = FactFinder(parts.history, parts.memory, parts.catalogue, parts.settings, parts.now)
    grouped = op.key_rm(
        "incidents_unkey_groups", correlate("incidents_correlate", alerts, parts.settings, parts.catalogue, parts.now)
    )
    groups = op.filter_map("incidents_groups", grouped, _only(GroupEvent))
    enriched = op.key_rm(
        "incidents_unkey_facts",
        enrich(
            "incidents_enrich",
            op.key_on("incidents_groups_key", groups, lambda event: event.group.id),
            op.key_on("incidents_outcomes_key", outcomes, lambda outcome: outcome.incident_id),
            finder,
            parts.catalogue,
            parts.settings,
            parts.now,
        ),
    )
    candidates = op.filter_map("incidents_candidates", enriched, _only(Incident))
    judged = op.key_rm("incidents_unkey_revisions", dedupe("incidents_dedupe", candidates, parts.now))
    rows = (
        op.filter_map("incidents_correlate_rows", grouped, _only(Decision)),
        op.filter_map("incidents_enrich_rows", enriched, _only(Decision)),
        op.filter_map("incidents_dedupe_rows", judged, _only(Decision)),
    )
    return IncidentStreams(
        op.filter_map("incidents_revisions", judged, _only(Incident)), op.merge("incidents_rows", *rows)
    )


def flow(reading: Reading, topics: Topics, parts: IncidentParts) -> Dataflow:
    """The flow as a process of its own, from Kafka to Kafka."""
    dataflow = Dataflow("incidents")
    add_to(dataflow, reading, topics, parts)
    return dataflow


def add_to(dataflow: Dataflow, reading: Reading, topics: Topics, parts: IncidentParts) -> None:
    """Put the whole flow, sources and sinks too, into `dataflow`."""
    alerts = read_messages("incidents_alerts", dataflow, reading, topics.alerts, AlertMessage)
    outcomes = read_messages("incidents_outcomes", dataflow, reading, topics.outcomes, Outcome)
    write_incidents(wire_incidents(alerts, outcomes, parts), reading, topics)


def write_incidents(streams: IncidentStreams, reading: Reading, topics: Topics) -> None:
    """Join what the steps say to the topics `incidents` and `decisions`."""
    write("incidents_write", op.map("incidents_out", streams.incidents, incident_out), reading.kafka, topics.incidents)
    write(
        "incidents_write_decisions",
        op.map("incidents_decisions_out", streams.decisions, decision_out),
        reading.kafka,
        topics.decisions,
    )


def incident_out(incident: Incident) -> Outgoing:
    """A revision, keyed by incident id, so that the compacted topic keeps the last one."""
    headers = {HEADER: write_traceparent(incident.trace_id)} if incident.trace_id else {}
    return Outgoing(incident.id, encode(incident), headers)


def _only(kind: type[T]) -> Callable[[object], T | None]:
    return lambda item: item if isinstance(item, kind) else None
