"""Where flows write: Kafka topics, at least once. A delivery that fails stops the flow, and recovery writes it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import bytewax.operators as op
from bytewax.dataflow import Stream
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from operators.decoding import RejectedMessage
from sentinel.alerts import AlertMessage
from sentinel.config import KafkaSettings
from sentinel.decisions import Decision
from sentinel.kafka import Publisher
from sentinel.topics import encode
from sentinel.traces import HEADER, write_traceparent


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message on its way to a topic."""

    key: str
    value: bytes
    headers: Mapping[str, bytes] = field(default_factory=dict)


def write(step_id: str, up: Stream[Outgoing], kafka: KafkaSettings, topic: str) -> None:
    """Write messages to a topic; each epoch ends only when all of its messages were delivered."""
    keyed = op.map(f"{step_id}_keyed", up, lambda message: (message.key, message))
    op.output(step_id, keyed, _TopicSink(lambda: Publisher(kafka), topic))


def alert_out(message: AlertMessage) -> Outgoing:
    """An alert message, keyed by alert id."""
    return Outgoing(message.alert_id, encode(message), _trace(message.trace_id))


def decision_out(row: Decision) -> Outgoing:
    """A decision row, keyed by decision id."""
    return Outgoing(row.decision_id, encode(row), _trace(row.trace_id))


def rejected_out(message: RejectedMessage) -> Outgoing:
    """A rejected event: the original as value, everything known about it as headers."""
    headers = {
        "reason": message.reason,
        "detail": message.detail,
        "topic": message.topic,
        "partition": str(message.partition),
        "offset": str(message.offset),
        "count": str(message.count),
    }
    encoded = {name: text.encode(errors="replace") for name, text in headers.items()}
    return Outgoing(f"{message.partition}/{message.offset}", message.value, encoded)


def _trace(trace_id: str) -> dict[str, bytes]:
    return {HEADER: write_traceparent(trace_id)} if trace_id else {}


class _TopicPart(StatefulSinkPartition[Outgoing, None]):
    """Messages go out in the background; the snapshot at the end of the epoch waits until they have arrived."""

    def __init__(self, publisher: Publisher, topic: str) -> None:
        self._publisher = publisher
        self._topic = topic

    def write_batch(self, values: list[Outgoing]) -> None:
        for message in values:
            self._publisher.publish(self._topic, message.key, message.value, message.headers)

    def snapshot(self) -> None:
        self._publisher.flush()

    def close(self) -> None:
        self._publisher.close()


class _TopicSink(FixedPartitionedSink[Outgoing, None]):
    def __init__(self, connect: Callable[[], Publisher], topic: str) -> None:
        self._connect = connect
        self._topic = topic

    def list_parts(self) -> list[str]:
        return ["all"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _TopicPart:
        return _TopicPart(self._connect(), self._topic)
