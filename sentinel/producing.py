"""Telemetry into Kafka, keyed by service so that a service stays in one partition: JSON lines, and recorded series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from sentinel.errors import PermanentError
from sentinel.kafka import Publisher
from sentinel.recorded import Recording, in_time_order
from sentinel.series import Series
from sentinel.telemetry import TelemetrySettings
from sentinel.telemetry_events import BadEvent, GoodEvent, check_event, read_events

PER_MESSAGE = 100
"""Events of one service that a replay puts into one message."""


@dataclass(frozen=True, slots=True)
class Produced:
    """What was written, and the event time that it spans (zero when nothing was)."""

    events: int
    messages: int
    first: float = 0.0
    last: float = 0.0


def event(series: Series, ts: float, value: float) -> Mapping[str, object]:
    """One event as a plain mapping, as the telemetry topic wants it."""
    return {"ts": ts, "name": series.name, "value": value, "labels": dict(series.labels)}


def produce_lines(lines: Iterable[bytes], name: str, publisher: Publisher, topic: str) -> Produced:
    """Write JSON lines (an event, an array or a batch in each) in their order; empty lines are skipped.

    Returns when the broker has them all. A bad line raises `PermanentError` with `name:line` and the reason; the lines
    before it are written.
    """
    events = messages = 0
    first = last = 0.0
    try:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            checked = _checked(line, f"{name}:{number}")
            for service, group in _by_service(checked):
                publisher.publish(topic, service, msgspec.json.encode(group))
                messages += 1
            first = checked[0].ts if not events else first
            last = checked[-1].ts
            events += len(checked)
    finally:
        publisher.flush()
    return Produced(events, messages, first, last)


def replay(recordings: Sequence[Recording], publisher: Publisher, topic: str) -> Produced:
    """Write recorded series at full speed, in event-time order over all of them, and return when the broker has them all.

    One message holds up to `PER_MESSAGE` events of one service. A message is sent as soon as another service's turn
    comes, so that the order of time holds within each partition.
    """
    waiting: list[Mapping[str, object]] = []
    service = ""
    events = messages = 0
    first = last = 0.0

    def send() -> int:
        if waiting:
            publisher.publish(topic, service, msgspec.json.encode(waiting))
            waiting.clear()
            return 1
        return 0

    for ts, series, value in in_time_order(recordings):
        if series.service != service or len(waiting) >= PER_MESSAGE:
            messages += send()
            service = series.service
        waiting.append(event(series, ts, value))
        first, last, events = (first or ts), ts, events + 1
    messages += send()
    publisher.flush()
    return Produced(events, messages, first, last)


def _checked(line: bytes, place: str) -> list[GoodEvent]:
    limits = TelemetrySettings()
    events = read_events(line, limits.max_message_bytes)
    if isinstance(events, BadEvent):
        raise PermanentError(f"{place}: {events.reason.value}: {events.detail}")
    good = []
    for item in events:
        checked = check_event(item, limits.max_text, limits.max_labels)
        if isinstance(checked, BadEvent):
            raise PermanentError(f"{place}: {checked.reason.value}: {checked.detail}")
        good.append(checked)
    return good


def _by_service(events: Sequence[GoodEvent]) -> Iterable[tuple[str, list[GoodEvent]]]:
    groups: dict[str, list[GoodEvent]] = {}
    for item in events:
        groups.setdefault(item.labels["service"], []).append(item)
    return groups.items()
