"""Workers as they really run: threads, leases, both databases, a real broker."""

import threading
import time

import pytest

from remediation.checkpoints import open_checkpointer, worker_name
from remediation.graph import build_graph
from remediation.intake import Intake, open_source
from remediation.journal import Journal
from remediation.parts import Parts
from remediation.planners.runbook import RunbookPlanner
from remediation.publishing import Outbox
from remediation.runbooks import load_runbooks
from remediation.settings import RemediationSettings
from remediation.worker import Worker
from sentinel.approvals import ApprovalStatus, Choice, Role
from sentinel.catalogue import ServiceCatalogue
from sentinel.config import KafkaSettings
from sentinel.errors import StorePathBusyError, TransientError
from sentinel.kafka import LogReader, Publisher, Record, ensure_topics
from sentinel.outcomes import Outcome, Result
from sentinel.runs import RunStatus
from sentinel.stores.sql.approvals import Answer
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.migrate import migrate
from sentinel.stores.sql.stores import SqlStores
from sentinel.topics import Topics, decode, encode
from tests.remediation import world as small
from tests.remediation.fleet_double import FleetDouble

pytestmark = pytest.mark.slow
CONFIG = {
    "policy": {"mode": "approve", "allow": [{"actions": ["rollback"], "name": "*"}]},
    "worker": {"settle": 0, "poll": 0.05},
}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request, tmp_path):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/sentinel.db"
    else:
        url = request.getfixturevalue("postgres_database")
    database = Database(url)
    migrate(database)
    yield database
    database.close()


def make_parts(stores, services, fleet):
    return Parts(
        settings=RemediationSettings.model_validate(CONFIG),
        services=services,
        stores=stores,
        planner=RunbookPlanner(load_runbooks(small.RUNBOOKS)),
        executors={"fleet": fleet.executor()},
        notifier=small.Notices(),
        journal=Journal(stores, time.time, ""),
        now=time.time,
    )


class Running:
    """Worker threads over one database and one fleet, and an in-memory log as their topics."""

    def __init__(self, database, fleet, log):
        self.stores, self.fleet, self.log = SqlStores.over(database), fleet, log
        self.stop = threading.Event()
        self.threads = []
        self.services = small.CATALOGUE

    def start(self, checkpointer, name):
        parts = make_parts(self.stores, self.services, self.fleet)
        sink = small.Sink()
        worker = Worker(
            parts,
            build_graph(parts, checkpointer),
            Intake(Paced(self.log), self.stores.projection, small.TOPICS),
            Outbox(sink, small.TOPICS, self.stores.outcomes, parts.journal),
            owner=name,
        )
        thread = threading.Thread(target=worker.run, args=(self.stop,), name=name)
        thread.start()
        self.threads.append(thread)
        return sink

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()


class Paced(small.Source):
    """Waits a little when there is nothing, as a broker's client does."""

    def take(self, limit=500, timeout=0.2):
        found = super().take(limit, timeout)
        if not found:
            time.sleep(timeout)
        return found


def until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def record(offset, message):
    return Record(small.TOPICS.incidents, 0, offset, "", encode(message), 0.0)


def approve(stores, request):
    answer = Answer(
        request_id=request.id, digest=request.digest, choice=Choice.APPROVE, actor="ann", role=Role.APPROVER
    )
    stores.approvals.decide(answer, now=time.time())


def pending(stores):
    return list(stores.approvals.find(status=ApprovalStatus.PENDING, limit=100).items)


def test_two_workers_at_once_run_each_action_once(database):
    names = [f"service-{n}" for n in range(8)]
    fleet = FleetDouble(*names)
    many = [_broken(n, name) for n, name in enumerate(names)]
    running = Running(database, fleet, [record(n, one) for n, one in enumerate(many)])
    running.services = ServiceCatalogue.model_validate({"services": {name: {} for name in names}})
    with open_checkpointer(database) as checkpointer:
        for worker in ("one", "two"):
            running.start(checkpointer, worker)
        try:
            until(lambda: len(pending(running.stores)) == len(many))
            for request in pending(running.stores):
                approve(running.stores, request)
            until(lambda: len(running.stores.runs.find(statuses=[RunStatus.VERIFYING])) == len(many))
        finally:
            running.end()
    assert sorted(fleet.actions) == [("rollback", name, {}) for name in names]
    kinds = [row.kind for one in many for row in running.stores.runs.timeline(one.id)]
    assert kinds.count("asked") == kinds.count("executing") == kinds.count("executed") == len(many)
    assert running.stores.audit.verify().ok


def _broken(number, name):
    change = small.deploy(name)
    return small.incident(
        small.alert(name), suspect=name, changes=(change,), id=f"inc-{number}", detected_at=time.time()
    )


def test_an_approval_acts_within_a_moment_and_sigterm_ends_the_worker(database):
    fleet = FleetDouble(*small.CATALOGUE.services)
    one = small.bad_deploy(detected_at=time.time())
    running = Running(database, fleet, [record(0, one)])
    with open_checkpointer(database) as checkpointer:
        running.start(checkpointer, worker_name(database))
        try:
            until(lambda: pending(running.stores))
            approve(running.stores, pending(running.stores)[0])
            begun = time.monotonic()
            until(lambda: fleet.actions)
            took = time.monotonic() - begun
        finally:
            running.end()
    # Usually 0.1 s; the bound leaves room for a machine that does other things.
    assert took < 2.0


@pytest.mark.postgres
def test_a_database_that_drops_every_connection_costs_a_retry_and_nothing_else(postgres_database):
    database = Database(postgres_database)
    migrate(database)
    fleet = FleetDouble(*small.CATALOGUE.services)
    one = small.bad_deploy(detected_at=time.time())
    running = Running(database, fleet, [record(0, one)])
    with open_checkpointer(database) as checkpointer:
        running.start(checkpointer, "one")
        try:
            until(lambda: pending(running.stores))
            _drop_connections(postgres_database)
            until(lambda: _answered(running.stores))
            _drop_connections(postgres_database)
            until(lambda: fleet.actions)
        finally:
            running.end()
    assert fleet.actions == [("rollback", "checkout", {})]
    assert running.stores.runs.find(statuses=[RunStatus.FAILED]) == []
    database.close()


def _drop_connections(url):
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        others = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
        connection.execute(f"{others} and pid <> pg_backend_pid()")


def _answered(stores):
    try:
        approve(stores, pending(stores)[0])
    except TransientError:
        return False
    return True


def test_a_second_worker_on_one_sqlite_file_is_told_so(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/sentinel.db")
    with (
        open_checkpointer(database),
        pytest.raises(StorePathBusyError, match=r"stores\.database"),
        open_checkpointer(database),
    ):
        pass
    with open_checkpointer(database):
        pass


def test_topics_are_read_from_where_the_view_ends_and_outcomes_are_published(tmp_path, tansu_broker):
    kafka = KafkaSettings(bootstrap=tansu_broker.bootstrap, topic_prefix="worker-")
    topics = Topics(kafka.topic_prefix)
    ensure_topics(kafka)
    database = Database(f"sqlite:///{tmp_path}/sentinel.db")
    migrate(database)
    stores = SqlStores.over(database)
    unfit = small.incident(detected_at=time.time())
    with Publisher(kafka) as publisher:
        publisher.publish(topics.incidents, unfit.id, encode(unfit))
    parts = make_parts(stores, small.CATALOGUE, FleetDouble(*small.CATALOGUE.services))
    with open_checkpointer(database) as checkpointer, Publisher(kafka) as publisher:
        source = open_source(kafka, stores.projection)
        worker = Worker(
            parts,
            build_graph(parts, checkpointer),
            Intake(source, stores.projection, topics),
            Outbox(publisher, topics, stores.outcomes, parts.journal),
            owner="worker",
        )
        worker.recover()
        while not stores.outcomes.find() or stores.outcomes.unpublished():
            worker.step(0.05)
        worker.drain()
        source.close()
    with LogReader(kafka, [topics.outcomes]) as reader:
        (found,) = reader.take(10, 10.0)
    assert decode(found.value, Outcome).result is Result.NOT_EXECUTED
    assert open_source(kafka, stores.projection).take(10, 0.5) == []
    database.close()
