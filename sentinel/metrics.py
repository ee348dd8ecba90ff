"""Every Prometheus metric of the product: one registry, one prefix (`sentinel_`), base units, counters for every loss.

Rooms import the metric that they need and set it; nothing here connects or listens. `render` is what `/metrics` answers.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.parser import text_string_to_metric_families

REGISTRY = CollectorRegistry()
"""The product's own registry, so that libraries in the same process add nothing to it."""

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

EVENTS_DECODED = Counter(
    "sentinel_events_decoded_total", "Measurements that decode accepted.", ["partition"], registry=REGISTRY
)
EVENTS_REJECTED = Counter(
    "sentinel_events_rejected_total", "Events (or whole messages) that decode refused.", ["reason"], registry=REGISTRY
)
MESSAGES_READ = Counter(
    "sentinel_messages_read_total", "Messages that a flow's source took from Kafka.", ["topic"], registry=REGISTRY
)
MESSAGES_SKIPPED = Counter(
    "sentinel_messages_skipped_total",
    "Offsets that were gone when the source came to them (retention, transaction markers).",
    ["topic"],
    registry=REGISTRY,
)
MESSAGES_UNREADABLE = Counter(
    "sentinel_messages_unreadable_total",
    "Messages of Sentinel's own topics that are not what the topic holds; they are left out.",
    ["topic"],
    registry=REGISTRY,
)
MESSAGES_WRITTEN = Counter(
    "sentinel_messages_written_total", "Messages handed to the Kafka producer.", ["topic"], registry=REGISTRY
)
DELIVERY_FAILURES = Counter(
    "sentinel_delivery_failures_total",
    "Messages that Kafka did not take; the writer stops.",
    ["topic"],
    registry=REGISTRY,
)
KAFKA_ERRORS = Counter(
    "sentinel_kafka_errors_total",
    "Errors that the Kafka client reported and retries by itself.",
    ["code"],
    registry=REGISTRY,
)
KNOWN_SERIES = Gauge(
    "sentinel_decode_known_series", "Spellings of series that decode holds interned.", ["partition"], registry=REGISTRY
)
WATERMARK = Gauge(
    "sentinel_watermark_seconds", "Event time up to which a partition is complete.", ["partition"], registry=REGISTRY
)
POSITION = Gauge(
    "sentinel_source_position", "Next offset that a source reads.", ["topic", "partition"], registry=REGISTRY
)
DECODE_SECONDS = Histogram(
    "sentinel_decode_block_seconds",
    "Wall time of decoding one block.",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    registry=REGISTRY,
)
WINDOWS_CLOSED = Counter("sentinel_windows_closed_total", "Windows of series that were closed.", registry=REGISTRY)
EVENTS_LEFT_OUT = Counter(
    "sentinel_summarize_left_out_total",
    "Late and unknown events, refused and collided announcements, evicted series.",
    ["reason"],
    registry=REGISTRY,
)
FINDINGS = Counter(
    "sentinel_findings_total", "Windows that a detector of their rule called unusual.", registry=REGISTRY
)
ALERTS_FIRED = Counter("sentinel_alerts_fired_total", "Alerts that fired.", ["rule"], registry=REGISTRY)
ALERTS_RESOLVED = Counter("sentinel_alerts_resolved_total", "Alerts that ended.", ["resolution"], registry=REGISTRY)
ALERTS_FIRING = Gauge("sentinel_alerts_firing", "Alerts that fire now.", ["shard"], registry=REGISTRY)
DETECTION_SECONDS = Histogram(
    "sentinel_detection_block_seconds",
    "Wall time of one block in a step of detection.",
    ["step"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
    registry=REGISTRY,
)
ARCHIVED = Counter("sentinel_archived_total", "Rows copied into the history.", ["kind"], registry=REGISTRY)
SCRAPES = Counter(
    "sentinel_scrapes_total", "Looks at a target of `sentinel scrape`.", ["target", "result"], registry=REGISTRY
)
SCRAPE_LOST = Counter(
    "sentinel_scrape_lost_total", "Looks whose measurements the broker did not take.", ["target"], registry=REGISTRY
)
ARCHIVE_RETRIES = Counter(
    "sentinel_archive_retries_total", "Inserts that were tried again because the history was away.", registry=REGISTRY
)
ALERTS_GROUPED = Counter(
    "sentinel_alerts_grouped_total", "Alerts that opened or joined an incident.", registry=REGISTRY
)
ALERT_MESSAGES_REPEATED = Counter(
    "sentinel_alert_messages_repeated_total", "Alert messages that were seen before.", registry=REGISTRY
)
INCIDENTS_OPENED = Counter("sentinel_incidents_opened_total", "Incidents that were opened.", registry=REGISTRY)
INCIDENTS_RESOLVED = Counter("sentinel_incidents_resolved_total", "Incidents that resolved.", registry=REGISTRY)
PAGES_SAVED = Counter(
    "sentinel_pages_saved_total",
    "Alerts that joined an open incident instead of asking for attention.",
    registry=REGISTRY,
)
INCIDENT_REVISIONS = Counter(
    "sentinel_incident_revisions_total", "Candidate revisions of incidents, by verdict.", ["verdict"], registry=REGISTRY
)

HTTP_REQUESTS = Counter(
    "sentinel_http_requests_total", "Requests that the API answered.", ["method", "route", "status"], registry=REGISTRY
)
HTTP_SECONDS = Histogram(
    "sentinel_http_request_seconds",
    "Wall time of one request of the API.",
    ["route"],
    buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    registry=REGISTRY,
)
AUTHENTICATION_FAILURES = Counter(
    "sentinel_authentication_failures_total", "Requests that the API refused for their key.", registry=REGISTRY
)
APPROVAL_DECISIONS = Counter(
    "sentinel_approval_decisions_total",
    "Answers to approval requests, by what became of them.",
    ["result"],
    registry=REGISTRY,
)
AUDIT_ANCHOR_FAILURES = Counter(
    "sentinel_audit_anchor_failures_total",
    "Heads of the audit chain that could not be written outside.",
    registry=REGISTRY,
)
AUDIT_ANCHOR_LATE = Gauge(
    "sentinel_audit_anchor_late_seconds",
    "Age of the oldest signed head that a place outside does not have; 0 when it has them all.",
    ["place"],
    registry=REGISTRY,
)
AUDIT_UNSIGNED = Gauge(
    "sentinel_audit_unsigned_seconds", "Age of the oldest audit record that no signed head covers.", registry=REGISTRY
)

RUNS_PARKED = Gauge(
    "sentinel_runs_parked", "Remediation runs that wait for a decision or for windows.", registry=REGISTRY
)
RUN_ERRORS = Counter(
    "sentinel_run_errors_total",
    "Drives of a run that ended in an error: transient ones are tried again, others end the run.",
    ["kind"],
    registry=REGISTRY,
)
ACTIONS_APPLIED = Counter(
    "sentinel_actions_applied_total", "Actions that an executor applied, undos included.", ["type"], registry=REGISTRY
)
KILL_SWITCH = Gauge(
    "sentinel_kill_switch", "1 while the kill switch is on, as this process last read it.", registry=REGISTRY
)
BREAKER_TRIPS = Counter(
    "sentinel_breaker_trips_total",
    "Circuit breakers that failures tripped, by kind of scope.",
    ["scope"],
    registry=REGISTRY,
)
OUTCOMES_RECORDED = Counter(
    "sentinel_outcomes_total", "Attempts that ended, by their result.", ["result"], registry=REGISTRY
)
NOTIFICATIONS = Counter(
    "sentinel_notifications_total",
    "Tries to tell a destination, by what came of them. Slack's cards: shown, told, rate_limited, unsure, refused. Queues: "
    "delivered, dropped, dead, retry, paused.",
    ["destination", "result"],
    registry=REGISTRY,
)
NOTIFICATIONS_WAITING = Gauge(
    "sentinel_notifications_waiting", "Notifications in a destination's queue.", ["destination"], registry=REGISTRY
)
NOTIFICATIONS_DEAD = Gauge(
    "sentinel_notifications_dead",
    "Notifications that were refused for good or tried too often, and wait for a replay.",
    ["destination"],
    registry=REGISTRY,
)
NOTIFICATIONS_OLDEST = Gauge(
    "sentinel_notifications_oldest_seconds",
    "Age of the oldest notification that waits; 0 when none does.",
    ["destination"],
    registry=REGISTRY,
)
NOTIFICATION_DELAY = Histogram(
    "sentinel_notifications_delay_seconds",
    "Wall time from the event to its delivery.",
    ["destination"],
    buckets=(0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3600.0),
    registry=REGISTRY,
)

# Names and labels follow OpenTelemetry's conventions for generative AI (`gen_ai.client.*`), in Prometheus' spelling.
_GEN_AI = ["gen_ai_provider_name", "gen_ai_request_model", "step"]
GEN_AI_TOKENS = Counter(
    "sentinel_gen_ai_client_token_usage_total",
    "Tokens sent (`input`) to and answered (`output`) by language models; the worst case where a provider did not tell.",
    [*_GEN_AI, "gen_ai_token_type"],
    registry=REGISTRY,
)
GEN_AI_COST = Counter(
    "sentinel_gen_ai_client_cost_dollars_total",
    "US dollars for language models, from the configured prices.",
    _GEN_AI,
    registry=REGISTRY,
)
GEN_AI_SECONDS = Histogram(
    "sentinel_gen_ai_client_operation_duration_seconds",
    "Wall time of one question to a language model; `error_type` is empty for an answer that was accepted.",
    [*_GEN_AI, "error_type"],
    buckets=(0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0),
    registry=REGISTRY,
)
GEN_AI_SKIPPED = Counter(
    "sentinel_gen_ai_client_skipped_total",
    "Questions that were not put: open breaker, budget, no time left.",
    [*_GEN_AI, "error_type"],
    registry=REGISTRY,
)
GEN_AI_UP = Gauge(
    "sentinel_gen_ai_client_up",
    "1 when the model's last question, or the probe at the start, was answered well.",
    _GEN_AI[:2],
    registry=REGISTRY,
)
PLANNER_FALLBACKS = Counter(
    "sentinel_planner_fallbacks_total",
    "Plans that runbooks had to make because no language model gave one, by the last provider's problem.",
    ["reason"],
    registry=REGISTRY,
)


def render() -> tuple[bytes, str]:
    """All metrics in Prometheus' text format, and the content type that goes with it."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST


def totals(text: str) -> dict[str, float]:
    r"""Read a page of Prometheus' text format: each sample's name with the sum over its labels.

    >>> totals('a_total{x="1"} 2\na_total{x="2"} 3\n')
    {'a_total': 5.0}
    """
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found
