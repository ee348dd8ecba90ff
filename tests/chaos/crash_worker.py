"""A worker in a process of its own that kills itself, for good, at the n-th place where something leaves it."""

import base64
import os
import signal
import threading
import time

import httpx

from remediation.checkpoints import open_checkpointer, worker_name
from remediation.executors.fleet import FleetExecutor
from remediation.graph import build_graph
from remediation.intake import CONSUMER, Intake
from remediation.journal import Journal
from remediation.parts import Parts
from remediation.planners.runbook import RunbookPlanner
from remediation.publishing import Outbox
from remediation.runbooks import load_runbooks
from remediation.settings import FleetSettings, RemediationSettings
from remediation.worker import Worker
from sentinel.kafka import Record
from sentinel.stores.sql.stores import SqlStores
from tests.remediation.crashing import Brittle, BrittleDatabase, Fuse, brittle_executor, brittle_saver
from tests.remediation.world import CATALOGUE, RUNBOOKS, TOPICS, Notices

SETTINGS = RemediationSettings.model_validate(
    {
        "policy": {"mode": "approve", "allow": [{"actions": ["rollback"], "name": "*"}]},
        "worker": {"settle": 0, "poll": 0.05, "lease": 1.0, "retry_first": 0.1},
    }
)


class Broker:
    """Topics that the test keeps, over HTTP; both ends of the worker."""

    def __init__(self, url, positions):
        self.positions = dict(positions)
        self._http = httpx.Client(base_url=url, trust_env=False)

    def take(self, limit=500, timeout=0.2):
        found = []
        for row in self._http.get("/log").json():
            record = Record(row["topic"], 0, row["offset"], "", base64.b64decode(row["value"]), 0.0)
            if record.offset >= self.positions.get((record.topic, 0), 0):
                found.append(record)
                self.positions[record.topic, 0] = record.offset + 1
        if not found:
            time.sleep(timeout)
        return found

    def publish(self, topic, key, value, headers=None):
        self._http.post("/published", json={"topic": topic, "value": base64.b64encode(value).decode()})

    def flush(self):
        pass

    def close(self):
        self._http.close()


def work(database_url, url, kill_at):
    """Until SIGTERM, or SIGKILL by its own hand at place `kill_at` (0: never); tells how many places it passed."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    fuse = Fuse(kill_at, lambda: os.kill(os.getpid(), signal.SIGKILL))
    database = BrittleDatabase(database_url)
    stores = SqlStores.over(database)
    with open_checkpointer(database) as saver:
        broker = Broker(url, stores.projection.offsets(CONSUMER))
        journal = Journal(stores, time.time, "")
        executor = FleetExecutor(FleetSettings(url=url))
        parts = Parts(
            settings=SETTINGS,
            services=CATALOGUE,
            stores=stores,
            planner=RunbookPlanner(load_runbooks(RUNBOOKS)),
            executors={"fleet": brittle_executor(executor, fuse)},
            notifier=Brittle(Notices(), fuse, {"notify"}),
            journal=journal,
            now=time.time,
        )
        graph = build_graph(parts, brittle_saver(saver, fuse))
        outbox = Outbox(Brittle(broker, fuse, {"publish", "flush"}), TOPICS, stores.outcomes, journal)
        database.fuse = fuse
        intake = Intake(broker, stores.projection, TOPICS)
        Worker(parts, graph, intake, outbox, owner=worker_name(database)).run(stop)
        httpx.post(f"{url}/passed", json=fuse.seen, trust_env=False)
        executor.close()
        broker.close()
    database.close()
