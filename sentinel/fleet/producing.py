"""The fleet's telemetry as messages: one per service and minute, in the order of event time across all services."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np

from sentinel.fleet.clock import Phase
from sentinel.fleet.model import Change, Fleet
from sentinel.fleet.patterns import DAY, METRICS, MINUTE, Floats
from sentinel.fleet.settings import live_start
from sentinel.series import CHANGE_PREFIX
from sentinel.traces import HEADER, write_traceparent

_DECIMALS = 6
_LONGEST_WAIT = 0.2  # Wall seconds: a changed factor or a resumed clock is noticed within this time.


class Publish(Protocol):
    """How a message leaves, as `sentinel.kafka.Publisher` does it: blocks while its bounded queue is full."""

    def publish(self, topic: str, key: str, value: bytes, headers: Mapping[str, bytes] | None = None) -> None:
        """Queue one message; raises `TransientError` or `PermanentError` when an earlier one was not delivered."""

    def flush(self) -> None:
        """Return when every message was delivered."""


class _Event(msgspec.Struct):
    ts: float
    name: str
    value: float
    labels: msgspec.Raw


class TelemetryWriter:
    """Turns the values of a minute into messages. About 0.3 us of CPU per event, without the Kafka client's share."""

    def __init__(self, publisher: Publish, topic: str, services: Sequence[str], *, environment: str, seed: int) -> None:
        self._publisher = publisher
        self._topic = topic
        self._seed = seed
        self._labels = {name: {"env": environment, "service": name} for name in services}
        self._messages = [[_Event(0, metric, 0, _raw(self._labels[name])) for metric in METRICS] for name in services]
        self._services = tuple(services)
        self._encoder = msgspec.json.Encoder()

    def write(
        self, minute: int, values: Sequence[Sequence[float]], changes: Iterable[Change] = (), *, traced: bool = False
    ) -> int:
        """Write one message per service for the minute that starts at `minute`; gives the number of events.

        `values` are plain floats [services][metrics]. Each change joins its service's message. `traced` adds a
        `traceparent` header, derived from seed, service and minute.
        """
        changed: dict[str, list[_Event]] = {}
        for change in changes:
            changed.setdefault(change.service, []).append(self._change(change))
        count = 0
        for name, message, row in zip(self._services, self._messages, values, strict=True):
            for event, value in zip(message, row, strict=True):
                event.ts = minute
                event.value = value
            more = changed.get(name)
            whole = message + more if more else message
            headers = {HEADER: self._trace(name, minute)} if traced else None
            self._publisher.publish(self._topic, name, self._encoder.encode(whole), headers)
            count += len(whole)
        return count

    def flush(self) -> None:
        """Return when every message was delivered."""
        self._publisher.flush()

    def _change(self, change: Change) -> _Event:
        labels = {
            **self._labels[change.service],
            "version": change.version,
            "previous_version": change.previous,
            "cause": change.cause,
        }
        return _Event(change.at, f"{CHANGE_PREFIX}deploy", 1.0, _raw(labels))

    def _trace(self, service: str, minute: int) -> bytes:
        name = f"{self._seed}/{service}/{minute}".encode()
        return write_traceparent(hashlib.blake2b(name, digest_size=16).hexdigest())


def produce_history(fleet: Fleet, writer: TelemetryWriter, stop: threading.Event) -> None:
    """Write the healthy past, from the clock's time up to the live start, as fast as the broker takes it.

    Leaves the clock at the live start and in the live phase, unless stopped before; paused when the settings say so or
    when it was paused meanwhile.
    """
    start, end = int(fleet.clock.now()), live_start(fleet.settings)
    while start < end and not stop.is_set():
        upto = min(end, (start // DAY + 1) * DAY)
        block = fleet.patterns.block(start, (upto - start) // MINUTE)
        _write_block(fleet, writer, start, block, stop)
        start = upto
    writer.flush()
    if not stop.is_set():
        fleet.clock.jump(end)
        if fleet.settings.start_paused:
            fleet.clock.pause()
        fleet.clock.enter(Phase.LIVE)


def produce_live(fleet: Fleet, writer: TelemetryWriter, stop: threading.Event) -> None:
    """Write each minute when it ends on the fleet's clock, until stopped or until `live_minutes` are over."""
    minute, limit = live_start(fleet.settings), fleet.settings.live_minutes
    last = None if limit is None else minute + limit * MINUTE
    while not stop.is_set() and (last is None or minute < last):
        if wait := fleet.clock.wall_until(minute + MINUTE):
            stop.wait(min(wait, _LONGEST_WAIT))
            continue
        _plan(fleet, minute, fleet.settings.live_deploys_per_day)
        changes = fleet.take_changes(minute + MINUTE)
        fleet.events_produced += writer.write(minute, _plain(fleet.minute(minute)), changes, traced=True)
        minute += MINUTE
    writer.flush()
    if not stop.is_set():
        fleet.clock.enter(Phase.ENDED)


def _write_block(fleet: Fleet, writer: TelemetryWriter, start: int, block: Floats, stop: threading.Event) -> None:
    planned = {when for when, _ in fleet.patterns.deploys(start // DAY, fleet.settings.deploys_per_day)}
    for step, values in enumerate(_plain(block)):
        if stop.is_set():
            return
        minute = start + step * MINUTE
        changes: list[Change] = []
        if minute in planned:
            _plan(fleet, minute, fleet.settings.deploys_per_day)
            changes = fleet.take_changes(minute + MINUTE)
        fleet.events_produced += writer.write(minute, values, changes)
        fleet.clock.jump(minute + MINUTE)


def _plan(fleet: Fleet, minute: int, per_day: float) -> None:
    """Roll out the harmless deploys that are planned for this minute."""
    for when, row in fleet.patterns.deploys(minute // DAY, per_day) if per_day else ():
        if when == minute:
            fleet.deploy_harmless(fleet.services[row], when)


def _plain(values: Floats) -> Any:
    """Nested lists of floats: short enough to write, exact enough to measure."""
    return np.round(values, _DECIMALS).tolist()


def _raw(labels: Mapping[str, str]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(labels))
