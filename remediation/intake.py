"""From the topics `incidents` and `alerts` into the SQL view, exactly once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sentinel.alerts import AlertMessage
from sentinel.config import KafkaSettings
from sentinel.incidents import Incident
from sentinel.kafka import LogReader, Record, end_offsets
from sentinel.logs import get_logger
from sentinel.metrics import MESSAGES_UNREADABLE
from sentinel.stores.sql.projection import Projection
from sentinel.topics import Topics, decode

T = TypeVar("T")

log = get_logger(__name__)

CONSUMER = "worker"
"""The name under which the projection keeps its offsets."""


class MessageSource(Protocol):
    """Where messages come from; `sentinel.kafka.LogReader` is one."""

    positions: dict[tuple[str, int], int]
    """The next offset by topic and partition."""

    def take(self, limit: int = 500, timeout: float = 0.2) -> list[Record]:
        """Up to `limit` records; waits at most `timeout` wall seconds for the first one."""

    def close(self) -> None:
        """Let go of the broker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What came in."""

    incidents: tuple[Incident, ...] = ()
    alerts: tuple[AlertMessage, ...] = ()

    @property
    def touched(self) -> frozenset[str]:
        """Ids of the incidents and of the alerts, and services of the alerts."""
        of_alerts = (name for message in self.alerts for name in (message.alert_id, message.service))
        return frozenset(of_alerts).union(incident.id for incident in self.incidents)


def open_source(settings: KafkaSettings, projection: Projection) -> LogReader:
    """A reader that goes on where the view ends; from the beginning when the topics are younger than the view.

    That is so after a restart of the embedded broker, which keeps nothing. Raises `TransientError` while the broker is
    away.
    """
    topics = Topics(settings.topic_prefix)
    names = (topics.incidents, topics.alerts)
    positions, ends = projection.offsets(CONSUMER), end_offsets(settings, names)
    if any(offset > ends.get(place, 0) for place, offset in positions.items()):
        log.warning("the topics began anew; reading them from their beginning", positions=len(positions))
        projection.forget(CONSUMER)
        positions = {}
    return LogReader(settings, names, positions)


class Intake:
    """Takes what has come and stores it with the offsets in one transaction. One thread uses it."""

    def __init__(
        self,
        source: MessageSource,
        projection: Projection,
        topics: Topics,
        follow: Callable[[Incident], None] | None = None,
    ) -> None:
        """`follow` is called with each newer revision of an incident, in the transaction that stores it."""
        self._follow = follow
        self._source = source
        self._projection = projection
        self._topics = topics
        self._held: list[Record] = []

    def take(self, timeout: float) -> Batch:
        """One batch; waits at most `timeout` wall seconds for it. What cannot be read is counted and passed over.

        Raises `TransientError` while the database is away; the records are held and come with the next call, because
        the source has moved past them.
        """
        if not self._held:
            self._held = self._source.take(500, timeout)
        if not self._held:
            return Batch()
        batch = Batch(
            incidents=tuple(_read(self._held, self._topics.incidents, Incident)),
            alerts=tuple(_read(self._held, self._topics.alerts, AlertMessage)),
        )
        offsets = {(record.topic, record.partition): record.offset + 1 for record in self._held}
        self._projection.apply(CONSUMER, offsets, incidents=batch.incidents, alerts=batch.alerts, follow=self._follow)
        self._held = []
        return batch


def _read(records: Sequence[Record], topic: str, as_type: type[T]) -> list[T]:
    found = []
    for record in records:
        if record.topic != topic:
            continue
        try:
            found.append(decode(record.value, as_type))
        except ValueError as error:
            MESSAGES_UNREADABLE.labels(topic).inc()
            log.warning("unreadable message", topic=topic, offset=record.offset, reason=str(error))
    return found
