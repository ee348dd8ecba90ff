"""What the worker says to the rest: outcomes from their outbox, and decision rows."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor as Pool
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty
from typing import Protocol

from remediation.journal import Journal
from sentinel.decisions import Decision
from sentinel.errors import TransientError
from sentinel.logs import get_logger
from sentinel.stores.sql.outcomes import OutcomeStore
from sentinel.topics import Topics, encode
from sentinel.traces import HEADER, write_traceparent

log = get_logger(__name__)


class MessageSink(Protocol):
    """Where messages go; `sentinel.kafka.Publisher` is one. Not for several threads."""

    def publish(self, topic: str, key: str, value: bytes, headers: Mapping[str, bytes] | None = None) -> None:
        """Queue one message."""

    def flush(self) -> None:
        """Return when every message was delivered; raises `TransientError` when one was not."""


class Outbox:
    """Publishes in a thread of its own, so that a broker that is away holds up no approval."""

    def __init__(
        self, sink: MessageSink, topics: Topics, outcomes: OutcomeStore, journal: Journal, pool: Pool | None = None
    ) -> None:
        """`pool` must run one task at a time; by default one thread."""
        self._sink = sink
        self._topics = topics
        self._outcomes = outcomes
        self._journal = journal
        self._pool = pool or ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._task: Future[int] | None = None
        self._wanted = True

    def wake(self) -> None:
        """There may be outcomes to publish."""
        self._wanted = True

    def kick(self) -> None:
        """Begin to publish if there is a reason and nothing is being published. What failed is tried again."""
        if self._task is not None:
            if not self._task.done():
                return
            self._finish(self._task)
        if self._wanted or not self._journal.decisions.empty():
            self._wanted = False
            self._task = self._pool.submit(self.publish)

    def close(self) -> None:
        """Publish what waits; what the broker does not take stays in the database for the next start."""
        self._pool.shutdown(wait=True)
        try:
            self.publish()
        except TransientError as error:
            log.warning("not everything was published", reason=str(error))

    def publish(self) -> int:
        """Publish what waits and return how much it was.

        An outcome is marked once the broker has it: after a crash it comes again with the same id. A decision row whose
        delivery fails is queued again; one that a crash takes away can be made again from the timeline.
        """
        rows, waiting = self._rows(), self._outcomes.unpublished()
        if not rows and not waiting:
            return 0
        try:
            for row in rows:
                self._sink.publish(self._topics.decisions, row.subject, encode(row), _headers(row.trace_id))
            for outcome in waiting:
                headers = _headers(outcome.trace_id)
                self._sink.publish(self._topics.outcomes, outcome.incident_id, encode(outcome), headers)
            self._sink.flush()
        except TransientError:
            for row in rows:
                self._journal.decisions.put(row)
            raise
        for outcome in waiting:
            self._outcomes.mark_published(outcome.outcome_id)
        return len(rows) + len(waiting)

    def _rows(self) -> list[Decision]:
        rows = []
        while True:
            try:
                rows.append(self._journal.decisions.get_nowait())
            except Empty:
                return rows

    def _finish(self, task: Future[int]) -> None:
        self._task = None
        try:
            task.result()
        except TransientError as error:
            log.warning("publishing again", reason=str(error))
            self._wanted = True


def _headers(trace_id: str) -> dict[str, bytes]:
    return {HEADER: write_traceparent(trace_id)} if trace_id else {}
