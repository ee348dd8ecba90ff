"""Real kill -9 of a worker's process at places where something leaves it: with one worker, and with two at once.

At least ten of them by default; `make test-crash` kills at every place. Of two workers the one that is to die may come to
do less than it takes: such a story has no kill.
"""

import base64
import json
import multiprocessing
import os
import signal
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from sentinel.approvals import Choice, Role
from sentinel.incidents import Incident
from sentinel.runs import RunStatus
from sentinel.stores.sql.approvals import Answer
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.migrate import migrate
from sentinel.stores.sql.stores import SqlStores
from sentinel.topics import encode
from tests.chaos.crash_worker import work
from tests.remediation.crashing import approved, story_is_whole
from tests.remediation.fleet_double import FleetDouble
from tests.remediation.world import CATALOGUE, TOPICS

ALL = os.environ.get("SENTINEL_CRASHES") == "all"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200 if ALL else 400)]


@pytest.fixture(scope="module")
def processes():
    """Children are forked from a process that has everything imported and nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.chaos.crash_worker"])
    return context


class World:
    """What outlives the workers: the fleet, the topics, the database, and the person."""

    def __init__(self, database_url, context):
        self.url, self.context = database_url, context
        self.fleet = FleetDouble(*CATALOGUE.services)
        self.log, self.published, self.passed = [], [], []
        self.database = Database(database_url)
        self.stores = SqlStores.over(self.database)
        self.lock = threading.Lock()
        self.running, self.killed = [], 0
        self.address = ""

    def start(self, kill_at=0):
        child = self.context.Process(target=work, args=(self.url, self.address, kill_at))
        child.start()
        self.running.append(child)

    def push(self, message):
        topic = TOPICS.incidents if isinstance(message, Incident) else TOPICS.alerts
        offset = sum(row["topic"] == topic for row in self.log)
        self.log.append({"topic": topic, "offset": offset, "value": base64.b64encode(encode(message)).decode()})

    def until(self, condition, seconds=60.0):
        """Wait for it; a worker that was killed is replaced when no other one is left."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "waited too long"
            for child in [child for child in self.running if not child.is_alive()]:
                assert child.exitcode == -signal.SIGKILL
                self.killed += 1
                self.running.remove(child)
            if not self.running:
                self.start()
            time.sleep(0.02)

    def stop(self):
        for child in self.running:
            child.terminate()
        for child in self.running:
            child.join(30)
            assert child.exitcode in (0, -signal.SIGKILL)
            self.killed += child.exitcode != 0

    def answer(self, method, path, body):
        with self.lock:
            if path == "/log":
                return 200, self.log
            if path in ("/published", "/passed"):
                kept = self.passed if path == "/passed" else self.published
                kept.append(json.loads(body))
                return 200, None
            answer = self.fleet._handle(httpx.Request(method, f"http://fleet{path}", content=body))
            return answer.status_code, answer.json()


@contextmanager
def opened(database_url, context):
    world = World(database_url, context)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, answer = world.answer(self.command, self.path, body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 the library's name

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    world.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield world
    finally:
        for child in world.running:
            child.kill()
            child.join()
        server.shutdown()
        thread.join()
        server.server_close()
        world.database.close()


def tell(world, kill_at, workers):
    """The approved story, with real processes and clocks; returns how many places the workers passed."""
    story = approved()
    world.start(kill_at)
    for _ in range(workers - 1):
        world.start()
    world.push(story.incident)
    pending = world.stores.approvals.find
    world.until(lambda: pending().items)
    (request,) = pending().items
    answer = Answer(
        request_id=request.id, digest=request.digest, choice=Choice.APPROVE, actor="ann", role=Role.APPROVER
    )
    world.stores.approvals.decide(answer, now=time.time())
    world.until(lambda: [run.status for run in world.stores.runs.find()] == [RunStatus.VERIFYING])
    for message in story.acts[2].messages:
        world.push(message)
    world.until(lambda: world.stores.outcomes.find() and not world.stores.outcomes.unpublished())
    world.until(lambda: not world.stores.runs.unfinished())
    world.stop()
    messages = [(row["topic"], "", base64.b64decode(row["value"])) for row in world.published]
    story_is_whole(story, world.stores, world.fleet, messages)
    return sum(world.passed)


def kill_everywhere(make_url, context, workers, *, tries, at_least):
    with opened(make_url(), context) as world:
        places = tell(world, 0, workers) // workers
    step = 1 if ALL else places / tries
    killed = 0
    for number in range(int(places / step)):
        with opened(make_url(), context) as world:
            at = int(number * step + step / 2) + 1
            try:
                tell(world, at, workers)
            except AssertionError as error:
                raise AssertionError(f"after kill -9 at place {at} of {places}") from error
            killed += world.killed
    assert killed >= (places // 2 if ALL else at_least)


def test_one_worker_on_sqlite(tmp_path, processes):
    numbers = iter(range(10_000))

    def make_url():
        url = f"sqlite:///{tmp_path}/{next(numbers)}.db"
        database = Database(url)
        migrate(database)
        database.close()
        return url

    kill_everywhere(make_url, processes, workers=1, tries=8, at_least=7)


@pytest.mark.postgres
def test_two_workers_on_postgresql(postgres_server, processes):
    template = postgres_server.create_database()
    database = Database(template)
    migrate(database)
    database.close()
    made: list[str] = []

    def make_url():
        while made:
            postgres_server.drop_database(made.pop())
        made.append(postgres_server.create_database(template))
        return made[-1]

    kill_everywhere(make_url, processes, workers=2, tries=6, at_least=3)
