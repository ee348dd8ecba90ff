"""A worker in a process with many waiting runs: one run is driven until it waits, and copied under other names."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx
import sqlalchemy as sa
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver

from remediation.checkpoints import open_checkpointer, worker_name
from remediation.executors.fleet import FleetExecutor
from remediation.graph import build_graph
from remediation.intake import Intake
from remediation.journal import Journal
from remediation.notifiers.protocol import Notice
from remediation.parts import Parts
from remediation.planners.runbook import RunbookPlanner
from remediation.publishing import Outbox
from remediation.runbooks import load_runbooks
from remediation.settings import FleetSettings, RemediationSettings
from remediation.worker import Worker
from sentinel.approvals import ApprovalRequest
from sentinel.canonical import short_id
from sentinel.catalogue import ServiceCatalogue
from sentinel.incidents import Incident
from sentinel.kafka import Record
from sentinel.plans import approval_digest
from sentinel.runs import Run, RunStatus
from sentinel.stores.sql import tables
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.documents import from_document, to_document
from sentinel.stores.sql.migrate import migrate
from sentinel.stores.sql.stores import SqlStores
from sentinel.topics import Topics, encode
from tests.remediation.fleet_double import FleetDouble
from tests.remediation.world import RUNBOOKS, alert, incident

TOPICS = Topics()


def service(number: int) -> str:
    """The service that incident `number` is about; each has one of its own, because a target has one run at a time."""
    return f"svc-{number:05d}"


def make_incident(number: int, detected_at: float) -> Incident:
    """An incident that the runbook `memory-leak` fits."""
    name = service(number)
    one = alert(name, "memory_ratio", "saturation")
    return incident(one, suspect=name, id=f"inc-{number:05d}", fingerprint=f"fp-{number:05d}", detected_at=detected_at)


class Feed:
    """Messages that the measurement pushes, as the broker would give them."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._news = threading.Condition()
        self.positions: dict[tuple[str, int], int] = {}
        self._next: dict[str, int] = {}

    def push(self, topic: str, message: object) -> None:
        """One message, at once."""
        with self._news:
            offset = self._next.get(topic, 0)
            self._next[topic] = offset + 1
            self._records.append(Record(topic, 0, offset, "", encode(message), time.time()))
            self._news.notify()

    def take(self, limit: int = 500, timeout: float = 0.2) -> list[Record]:
        """See `MessageSource.take`."""
        with self._news:
            if not self._records:
                self._news.wait(timeout)
            found, self._records = self._records[:limit], self._records[limit:]
            return found

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass
class Seen:
    """When (wall time) what happened first, by service or incident."""

    asked: dict[str, float] = field(default_factory=dict)
    called: dict[str, float] = field(default_factory=dict)
    acted: dict[str, float] = field(default_factory=dict)
    recorded: dict[str, float] = field(default_factory=dict)
    watching: bool = False
    """Whether executor calls count: the dry run of the question is over."""

    def notify(self, notice: Notice) -> None:
        """The worker's notifier."""
        seen = {"asked": self.asked, "recorded": self.recorded}.get(notice.kind)
        if seen is not None:
            seen.setdefault(notice.incident_id, time.time())

    def publish(self, topic: str, key: str, value: bytes, headers: object = None) -> None:
        """The worker's broker takes everything."""

    def flush(self) -> None:
        """And has it at once."""


class Fleet(FleetDouble):
    """Notes the first call after the question (`called`), and the first that acts (`acted`)."""

    def __init__(self, seen: Seen, *names: str) -> None:
        super().__init__(*names)
        self._seen = seen

    def executor(self) -> FleetExecutor:
        """As an executor without a network."""
        return FleetExecutor(FleetSettings(url="http://fleet"), httpx.MockTransport(self._note))

    def _note(self, request: httpx.Request) -> httpx.Response:
        at, name = time.time(), request.url.path.strip("/").split("/")[2]
        if request.method == "POST":
            if not json.loads(request.content)["dry_run"]:
                self._seen.acted.setdefault(name, at)
            if name in self._seen.called and self._seen.called[name] == 0.0:
                self._seen.called[name] = at
        return self._handle(request)


@dataclass
class Bench:
    """A worker with everything around it."""

    stores: SqlStores
    seen: Seen
    fleet: Fleet
    feed: Feed
    worker: Worker
    saver: BaseCheckpointSaver[str]
    settings: RemediationSettings


@contextmanager
def opened(folder: Path, services: int, *, url: str = "", auto: bool = False) -> Iterator[Bench]:
    """A worker over a new database (SQLite in `folder`, or an empty one at `url`); it does not run yet."""
    database = Database(url or f"sqlite:///{folder}/sentinel.db")
    migrate(database)
    policy = {
        "mode": "auto" if auto else "approve",
        "allow": [{"actions": ["restart"], "name": "*"}],
        "automatic": [{"action": "restart"}],
        "limits": [],
    }
    settings = RemediationSettings.model_validate({"policy": policy, "approvals": {"expires_after": 86_400}})
    names = [service(number) for number in range(services)]
    seen, feed, stores = Seen(), Feed(), SqlStores.over(database)
    fleet, journal = Fleet(seen, *names), Journal(stores, time.time, settings.hash)
    with open_checkpointer(database) as saver:
        parts = Parts(
            settings=settings,
            services=ServiceCatalogue.model_validate({"services": {name: {"tier": 1} for name in names}}),
            stores=stores,
            planner=RunbookPlanner(load_runbooks(RUNBOOKS)),
            executors={"fleet": fleet.executor()},
            notifier=seen,
            journal=journal,
            now=time.time,
        )
        outbox, intake = Outbox(seen, TOPICS, stores.outcomes, journal), Intake(feed, stores.projection, TOPICS)
        worker = Worker(parts, build_graph(parts, saver), intake, outbox, owner=worker_name(database))
        yield Bench(stores, seen, fleet, feed, worker, saver, settings)
    database.close()


@contextmanager
def running(bench: Bench) -> Iterator[None]:
    """The worker works in a thread of its own."""
    stop = threading.Event()
    thread = threading.Thread(target=bench.worker.run, args=(stop,), name="worker")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Return when `condition()` holds; ends the program when it never does."""
    end = time.time() + seconds
    while not condition():
        if time.time() > end:
            raise SystemExit(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)


def park_copies(bench: Bench, count: int) -> None:
    """Runs 0 to `count` - 1 wait for a decision: the first by itself, the others as its copies."""
    bench.feed.push(TOPICS.incidents, make_incident(0, time.time() - 60))
    while "inc-00000" not in bench.seen.asked:
        bench.worker.step(0.05)
    bench.worker.step(0.05)
    (run,) = bench.stores.runs.find()
    (request,) = bench.stores.approvals.find().items
    first = bench.stores.incidents.get("inc-00000")
    if first is None:
        raise SystemExit("the first incident is not in the view")
    if isinstance(connection := getattr(bench.saver, "conn", None), sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")
    rows = [_copy(bench, run, request, first, number) for number in range(1, count)]
    with bench.stores.database.write() as sql:
        for incident_row, service_row, request_row, run_row in rows:
            sql.execute(sa.insert(tables.incidents), [incident_row])
            sql.execute(sa.insert(tables.incident_services), [service_row])
            sql.execute(sa.insert(tables.approval_requests), [request_row])
            sql.execute(sa.insert(tables.runs), [run_row])
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=FULL")


def _copy(bench: Bench, run: Run, request: ApprovalRequest, first: Incident, number: int) -> tuple[dict, ...]:  # type: ignore[type-arg]
    """Copy the checkpoint, and give the rows for SQL."""
    ids = {"inc-00000": f"inc-{number:05d}", "svc-00000": service(number), "fp-00000": f"fp-{number:05d}"}
    ids |= {run.id: short_id("run", f"inc-{number:05d}"), request.id: short_id("apr", number)}
    ids |= {request.plan.id: short_id("pln", number), request.plan.actions[0].id: short_id("act", number)}
    asked = from_document(_renamed(to_document(request), ids), ApprovalRequest)
    ids[request.digest] = approval_digest(asked.plan, asked.previews, asked.verdict.policy_version)
    asked = from_document(_renamed(to_document(request), ids), ApprovalRequest)
    one = from_document(_renamed(to_document(first), ids), Incident)
    _copy_checkpoint(bench.saver, run.thread_id, ids)
    incident_row = {name: getattr(one, name) for name in ("id", "revision", "opened_at", "updated_at")}
    incident_row |= {name: getattr(one, name).value for name in ("status", "severity", "kind")}
    wanted = ("id", "incident_id", "run_id", "digest", "requested_at", "expires_at")
    request_row = {name: getattr(asked, name) for name in wanted}
    run_row = asdict(run) | {"id": ids[run.id], "thread_id": ids[run.id], "incident_id": one.id}
    return (
        incident_row | {"document": to_document(one)},
        {"incident_id": one.id, "service": service(number)},
        request_row | {"document": to_document(asked)},
        run_row | {"status": RunStatus.WAITING.value},
    )


def _copy_checkpoint(saver: BaseCheckpointSaver[str], thread_id: str, ids: dict[str, str]) -> None:
    found = saver.get_tuple({"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}})
    if found is None or not found.pending_writes:
        raise SystemExit("the run that is to be copied does not wait")
    checkpoint = found.checkpoint.copy()
    checkpoint["channel_values"] = json.loads(_renamed(json.dumps(checkpoint["channel_values"]), ids))
    # The same id of the checkpoint: the ids of its tasks are made from it.
    place: RunnableConfig = {"configurable": {"thread_id": ids[thread_id], "checkpoint_ns": ""}}
    at = saver.put(place, checkpoint, found.metadata, checkpoint["channel_versions"])
    for task, channel, value in found.pending_writes:
        saver.put_writes(at, [(channel, value)], task)


def _renamed(text: str, ids: dict[str, str]) -> str:
    for old, new in ids.items():
        text = text.replace(old, new)
    return text
