"""What is on the topics, read by the test itself, and what detection should have said about it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from operators.blocks import RawBlock
from operators.decoding import PartitionDecoder
from operators.shard_core import ShardCore
from sentinel.alerts import AlertMessage
from sentinel.cli.settings import Settings
from sentinel.decisions import Decision
from sentinel.incidents import Incident
from sentinel.kafka import LogReader, Record, end_offsets
from sentinel.outcomes import Outcome
from sentinel.series import Series
from sentinel.topics import Topics, decode
from sentinel.traces import read_traceparent, trace_hex

Points = dict[str, dict[int, float]]
"""Values by time in microseconds, which is what the history keeps, by series key."""


@dataclass
class Tap:
    """Follows Sentinel's own topics from their beginning; `read` takes what has come."""

    reader: LogReader
    topics: Topics
    alerts: list[AlertMessage] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    def read(self, timeout: float = 0.01) -> Tap:
        """Take what is there; waits at most `timeout` seconds for it."""
        kinds: dict[str, tuple[type, list[Any]]] = {
            self.topics.alerts: (AlertMessage, self.alerts),
            self.topics.incidents: (Incident, self.incidents),
            self.topics.outcomes: (Outcome, self.outcomes),
            self.topics.decisions: (Decision, self.decisions),
        }
        while records := self.reader.take(500, timeout):
            for record in records:
                kind, found = kinds[record.topic]
                found.append(decode(record.value, kind))
        return self


@contextmanager
def tapped(settings: Settings) -> Iterator[Tap]:
    """A tap on the topics of these settings; the topics must exist."""
    topics = Topics(settings.kafka.topic_prefix)
    names = [topics.alerts, topics.incidents, topics.outcomes, topics.decisions]
    with LogReader(settings.kafka, names) as reader:
        yield Tap(reader, topics)


def telemetry(settings: Settings) -> list[Record]:
    """Every telemetry message that was produced."""
    topic = Topics(settings.kafka.topic_prefix).telemetry
    ends = {place: end for place, end in end_offsets(settings.kafka, [topic]).items() if end}
    found: list[Record] = []
    with LogReader(settings.kafka, [topic]) as reader:
        while any(reader.positions.get(place, 0) < end for place, end in ends.items()):
            found += reader.take(5000, timeout=1.0)
    return found


def points(records: list[Record]) -> Points:
    """The events in the messages, changes among them."""
    found: Points = defaultdict(dict)
    for record in records:
        for event in json.loads(record.value):
            found[Series.of(event["name"], event["labels"]).key][round(event["ts"] * 1e6)] = event["value"]
    return found


def traces(records: list[Record]) -> dict[str, str]:
    """The service that each trace id of a `traceparent` header belongs to."""
    return {trace: record.key for record in records if (trace := _trace(record.headers))}


def detected(records: list[Record], settings: Settings) -> dict[str, AlertMessage]:
    """What detection must say on `alerts` about these messages, by message id: the same pure code, nothing that crashes."""
    topic = Topics(settings.kafka.topic_prefix).telemetry
    by_partition: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        by_partition[record.partition].append(record)
    said: dict[str, AlertMessage] = {}
    for partition, mine in by_partition.items():
        decoder = PartitionDecoder(topic, settings.telemetry, settings.detection.lateness)
        cores: dict[str, ShardCore] = {}
        for begin in range(0, len(mine), 2000):
            part = mine[begin : begin + 2000]
            headers = [record.headers.get("traceparent") for record in part]
            block = RawBlock(partition, [record.offset for record in part], [record.value for record in part], headers)
            for shard in decoder.feed(block, 0.0)[0]:
                core = cores.setdefault(shard.shard, ShardCore(settings.detection))
                said.update({message.message_id: message for message in core.feed(shard)[0]})
    return said


def _trace(headers: Mapping[str, bytes]) -> str:
    found = read_traceparent(headers.get("traceparent", b""))
    return trace_hex(*found) if found else ""
