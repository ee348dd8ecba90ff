"""kill -9 in the middle of a delivery, again and again: nothing is lost, what comes twice has the same id, order is kept."""

import sys
import time

import pytest

from sentinel.stores.sql.database import Database
from sentinel.stores.sql.migrate import migrate
from sentinel.stores.sql.stores import SqlStores
from tests.contracts.sql.test_notifications import event
from tests.services.processes import Process
from tests.services.webhook_double import WebhookDouble

pytestmark = pytest.mark.slow
INCIDENTS, EVENTS = 3, 8


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/sentinel.db"
    return request.getfixturevalue("postgres_database")


@pytest.fixture
def queue(url):
    database = Database(url)
    migrate(database)
    yield SqlStores.over(database).notifications
    database.close()


@pytest.fixture
def double():
    found = WebhookDouble()
    yield found
    found.go.set()
    found.close()


def until(condition, process):
    end = time.monotonic() + 30
    while not condition():
        assert process.running(), process.log_tail()
        assert time.monotonic() < end, process.log_tail()
        time.sleep(0.01)


def test_a_worker_killed_in_its_deliveries_loses_nothing(url, queue, double, tmp_path):
    expected = []
    for number in range(EVENTS):
        for incident in range(INCIDENTS):
            queue.put("webhook-ops", event(f"inc-{incident}", key=str(number), at=time.time()))
            expected.append((f"inc-{incident}", str(number)))
    repeated = 0
    kills = (True, False, True, False) if url.startswith("sqlite") else (True, False)
    for round_, taken_first in enumerate(kills):
        ahead = 60 * round_
        double.now = lambda ahead=ahead: time.time() + ahead
        for _ in range(round_):
            double.fail("")
        double.fail("hold", taken_first=taken_first)
        double.inside.clear()
        double.go.clear()
        process = start(url, double, tmp_path, ahead)
        until(double.inside.is_set, process)
        process.kill()
        double.go.set()
        repeated += taken_first
    double.now = lambda: time.time() + 240
    last = start(url, double, tmp_path, 240)
    until(lambda: not queue.depth("webhook-ops", time.time()).waiting, last)
    last.kill()
    ids = double.ids
    assert len(ids) == len(expected) + repeated
    assert len(set(ids)) == len(expected)
    keys = [(one["incident"]["id"], key_of(queue, one["id"])) for one in double.unique]
    assert sorted(keys) == sorted(expected)
    for incident in range(INCIDENTS):
        mine = [key for one, key in keys if one == f"inc-{incident}"]
        assert mine == sorted(mine), "an incident's events were overtaken"


def start(url, double, folder, ahead):
    command = [sys.executable, "-m", "tests.remediation.notif_process", url, f"{double.url}/hook", str(ahead)]
    process = Process(command, folder / "worker.log")
    process.start(lambda: True)
    return process


def key_of(queue, notification_id):
    return queue.get(notification_id).event.key
