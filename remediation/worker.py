"""The worker: projects the topics, starts one run per incident, drives runs on when there is a reason, and publishes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor as Pool
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic

from remediation.graph import Position, RunGraph, advance, position
from remediation.intake import Intake
from remediation.journal import About, Entry
from remediation.leases import Leases
from remediation.notifiers.protocol import Notice
from remediation.parked import Parking, park
from remediation.parts import Parts
from remediation.publishing import Outbox
from remediation.state import new_state
from sentinel.canonical import short_id
from sentinel.errors import LeaseLostError, TransientError
from sentinel.incidents import Incident, IncidentStatus
from sentinel.logs import get_logger, trace
from sentinel.metrics import RUN_ERRORS, RUNS_PARKED
from sentinel.runs import Run, RunStatus

log = get_logger(__name__)

ADOPTED_AT_ONCE = 50
"""Runs that one round takes up from the database after a start, so that new incidents need not wait for old ones."""


@dataclass(slots=True)
class _Retry:
    at: float
    delay: float


class Worker:
    """One thread steps; runs are driven in a pool, each by one thread at a time and under a lease in SQL."""

    def __init__(
        self,
        parts: Parts,
        graph: RunGraph,
        intake: Intake,
        outbox: Outbox,
        *,
        owner: str,
        pool: Pool | None = None,
        ticks: Callable[[], float] = monotonic,
    ) -> None:
        """`owner` names this worker in leases: it must be unique among the workers that run at the same time.

        `pool` drives the runs; by default threads, as many as the settings say. `ticks` is a clock in seconds that never
        jumps: pauses and leases go by it, so that a wall clock that does costs nothing.
        """
        self._parts = parts
        self._settings = parts.settings.worker
        self._graph = graph
        self._intake = intake
        self._outbox = outbox
        self._ticks = ticks
        self._leases = Leases(parts.stores.runs, owner=owner, seconds=self._settings.lease, now=parts.now, ticks=ticks)
        self._pool = pool or ThreadPoolExecutor(self._settings.threads, thread_name_prefix="run")
        self._due: dict[str, float] = {}
        self._parked = Parking(parts)
        self._retries: dict[str, _Retry] = {}
        self._driving: dict[str, Future[Position | None]] = {}
        self._news: set[str] = set()
        self._strays: dict[str, float] = {}
        self._scan_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then let the drives end and publish what waits.

        Goes on while database or broker are away. Raises `PermanentError` when they refuse.
        """
        recovered = False
        while not stop.is_set():
            try:
                if not recovered:
                    self.recover()
                    recovered = True
                # While runs from before the start wait to be taken up, nothing waits for the topics.
                self.step(0.0 if 0.0 in self._strays.values() else self._settings.poll)
            except TransientError as error:
                log.warning("worker waits", reason=str(error))
                stop.wait(self._settings.retry_first)
        self.drain()

    def recover(self) -> None:
        """Take up what the database and the checkpoints hold: open incidents, runs that were driven, runs that wait."""
        for incident in self._parts.stores.incidents.open_incidents():
            self._note(incident)
        self._scan()
        self._adopt()

    def step(self, timeout: float) -> None:
        """One round: take in (waiting at most `timeout` wall seconds), start, drive, publish."""
        self._collect()
        batch = self._intake.take(timeout)
        self._news |= batch.touched
        for incident in batch.incidents:
            self._note(incident)
        self._start_due()
        self._scan()
        self._adopt()
        self._wake()
        self._retry()
        self._leases.beat()
        self._collect()
        self._outbox.kick()

    def drain(self) -> None:
        """Wait for the drives in progress and publish what waits."""
        self._pool.shutdown(wait=True)
        self._collect()
        self._outbox.close()

    @property
    def parked(self) -> int:
        """How many runs wait here for a decision, windows or a target."""
        return len(self._parked)

    @property
    def idle(self) -> bool:
        """Whether no run is being driven, tried again, looked after or about to start."""
        return not (self._driving or self._retries or self._due or self._strays)

    def _note(self, incident: Incident) -> None:
        """Remember when the incident's run is due; an incident that is over needs none."""
        if incident.status is IncidentStatus.OPEN:
            settle = self._settings.settle
            left = min(max(incident.detected_at + settle - self._parts.now(), 0.0), settle)
            self._due.setdefault(incident.id, self._ticks() + left)
        else:
            self._due.pop(incident.id, None)

    def _start_due(self) -> None:
        for incident_id in [one for one, at in self._due.items() if at <= self._ticks()]:
            incident = self._parts.stores.incidents.get(incident_id)
            if incident is not None and incident.status is IncidentStatus.OPEN:
                self._start(incident, self._parts.now())
            del self._due[incident_id]

    def _start(self, incident: Incident, now: float) -> None:
        run_id = short_id("run", incident.id)
        run, fresh = self._parts.stores.runs.start(
            Run(
                id=run_id,
                incident_id=incident.id,
                attempt=1,
                status=RunStatus.RUNNING,
                thread_id=run_id,
                created_at=now,
                updated_at=now,
                trace_id=incident.trace_id,
            )
        )
        if fresh:
            self._drive(run)

    def _scan(self) -> None:
        """Find what nobody here looks after: runs and outcomes from before a start, or of another worker, which may die."""
        if self._ticks() < self._scan_at:
            return
        self._scan_at = self._ticks() + self._leases.pause
        self._outbox.wake()
        for run_id in self._parts.stores.runs.unfinished_ids():
            if not (run_id in self._parked or run_id in self._driving or run_id in self._retries):
                self._strays.setdefault(run_id, 0.0)

    def _adopt(self) -> None:
        """Look after a few of them: park what waits, drive what nobody drives, come back to what somebody does."""
        due = [run_id for run_id, at in self._strays.items() if at <= self._ticks()]
        for run_id in due[:ADOPTED_AT_ONCE]:
            run = self._parts.stores.runs.get(run_id)
            del self._strays[run_id]
            if run is None or run.status.final or run_id in self._driving:
                continue
            where = position(self._graph, run.thread_id) if run.status is not RunStatus.RUNNING else None
            if where is not None and where.waiting_for:
                self._park(run_id, where)
            else:
                self._drive(run)

    def _wake(self) -> None:
        """Drive on the parked runs that have a reason."""
        news, self._news = self._news, set()
        for run_id in self._parked.ready(news):
            self._drive_id(run_id)

    def _retry(self) -> None:
        for run_id in [one for one, retry in self._retries.items() if retry.at <= self._ticks()]:
            if run_id not in self._driving:
                self._drive_id(run_id)

    def _drive_id(self, run_id: str) -> None:
        run = self._parts.stores.runs.get(run_id)
        if run is None or run.status.final:
            self._forget(run_id)
        else:
            self._drive(run)

    def _drive(self, run: Run) -> None:
        """Hand the run to the pool; never twice at the same time."""
        if run.id not in self._driving:
            self._parked.remove(run.id)
            self._driving[run.id] = self._pool.submit(self._advance, run)

    def _advance(self, run: Run) -> Position | None:
        """In the pool: drive under the lease. None when another worker holds it, or took it over meanwhile."""
        try:
            with self._leases.driving(run.id) as mine, trace(run.trace_id, run_id=run.id, incident_id=run.incident_id):
                if mine:
                    return advance(self._graph, run.thread_id, new_state(run.id, run.incident_id, run.trace_id))
        except LeaseLostError as error:
            log.warning("run was taken over", run_id=run.id, reason=str(error))
        return None

    def _collect(self) -> None:
        """Take the results of the drives that have ended."""
        for run_id, drive in list(self._driving.items()):
            if not drive.done():
                continue
            del self._driving[run_id]
            try:
                self._take_result(run_id, drive)
            except TransientError as error:
                self._try_later(run_id, error)

    def _take_result(self, run_id: str, drive: Future[Position | None]) -> None:
        try:
            where = drive.result()
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001 a defect in one run must not stop the others: the run fails, loudly
            self._fail(run_id, error)
        else:
            self._settle(run_id, where)

    def _settle(self, run_id: str, where: Position | None) -> None:
        if where is None:
            self._retries.pop(run_id, None)
            self._strays[run_id] = self._ticks() + self._leases.pause
        elif where.waiting_for:
            self._retries.pop(run_id, None)
            self._park(run_id, where)
        elif where.ended:
            self._forget(run_id)
        else:
            self._try_later(run_id, TransientError("its last step was not checkpointed"))
        self._outbox.wake()

    def _park(self, run_id: str, where: Position) -> None:
        parked = park(self._parts, run_id, where)
        self._parked.add(parked)
        # The answer may have come before the run was parked.
        self._news.add(parked.incident_id)
        RUNS_PARKED.set(len(self._parked))

    def _forget(self, run_id: str) -> None:
        self._parked.remove(run_id)
        self._retries.pop(run_id, None)
        RUNS_PARKED.set(len(self._parked))

    def _try_later(self, run_id: str, error: TransientError) -> None:
        before = self._retries.get(run_id)
        delay = min(before.delay * 2, self._settings.retry_max) if before else self._settings.retry_first
        self._retries[run_id] = _Retry(self._ticks() + delay, delay)
        RUN_ERRORS.labels("transient").inc()
        log.warning("run goes on later", run_id=run_id, seconds=delay, reason=str(error))

    def _fail(self, run_id: str, error: Exception) -> None:
        log.error("run failed", run_id=run_id, exc_info=error)
        run = self._parts.stores.runs.get(run_id)
        self._forget(run_id)
        RUN_ERRORS.labels("permanent").inc()
        if run is None or run.status.final:
            return
        text = f"{type(error).__name__}: {error}"
        now = self._parts.now()
        with self._parts.stores.database.write():
            self._parts.stores.runs.update(run_id, now=now, status=RunStatus.FAILED, last_error=text)
            self._parts.stores.targets.release(run_id)
            # Within the transaction: a run that failed is never driven again, so nothing would tell it later.
            notice = Notice(incident_id=run.incident_id, kind="failed", text=text, trace_id=run.trace_id, key=run_id)
            self._parts.notifier.notify(notice)
            about = About(run_id=run_id, incident_id=run.incident_id, attempt=run.attempt, trace_id=run.trace_id)
            self._parts.journal.tell(about, Entry(kind="failed", text=text))
