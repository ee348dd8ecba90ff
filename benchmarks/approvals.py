"""How quickly the worker acts, and how many waiting runs it bears.

    .venv/bin/python benchmarks/approvals.py [clicks|auto|load|memory|audit ...] [--database URL] [--json FILE]

The worker, the graph, its checkpoints, the SQL stores and the API are the real ones, in one process; the fleet is a double
without a network, so that what is measured is Sentinel's own time. SQLite with full synchronisation unless `--database`
names an empty PostgreSQL. Waiting runs are copies of one that the worker drove there itself, each about a service of its own.

- clicks: 100 incidents wait; each is approved over HTTP at a moment of its own. From before the request is sent until the
  executor is called first.
- auto: 20 incidents come one after the other in mode auto. From the incident's detection until the fix is executed, the
  worker's pause for further alerts (`worker.settle`) included.
- load: 1,000 runs wait while 50 incidents a minute come, are asked, approved, executed and verified. Resume: from a decision
  until the executor is called, and from the last window until the outcome is recorded. Backlog: from an incident's arrival
  until it is asked, less the pause, in the last quarter against the first.
- memory: resident size with 1,000 to 10,000 waiting runs, and after a minute more with 10,000.
- audit: appends on the database, by 1 and by 8 writers; and 1,000,000 records verified.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from api.app import create_app
from api.keys import hash_key
from api.parts import ApiParts
from api.server import run_api
from api.settings import ApiKeySettings, ApiSettings
from benchmarks.auditing import audit
from benchmarks.parked import TOPICS, Bench, make_incident, opened, park_copies, running, service, wait_for
from benchmarks.throughput import machine
from sentinel import logs
from sentinel.api_client import ApiClient
from sentinel.approvals import ApprovalStatus, Choice, Role
from sentinel.safety import GLOBAL
from sentinel.slack_settings import SlackSettings
from sentinel.stores.sql.approvals import Answer
from sentinel.stores.sql.stores import SqlStores
from tests.remediation.world import firing, update

RESULTS = Path(__file__).parent / "results" / "approvals.json"
KEY = "benchmark"
Measured = dict[str, Any]


def clicks(folder: Path, url: str) -> Measured:
    """100 clicks, one every 0.1 to 0.3 s."""
    with opened(folder, 100, url=url) as bench:
        park_copies(bench, 100)
        with running(bench), _api(bench.stores) as address, ApiClient(address, KEY) as client:
            wait_for(partial(_parked, bench, 100), "100 parked runs")
            waiting = list(bench.stores.approvals.find(status=ApprovalStatus.PENDING, limit=100).items)
            random.Random(1).shuffle(waiting)
            sent = {}
            for request in waiting:
                name = request.plan.actions[0].target.name
                bench.seen.called[name] = 0.0
                sent[name] = time.time()
                client.approve(request.id, digest=request.digest, reason="benchmark")
                time.sleep(random.Random(name).uniform(0.1, 0.3))
            wait_for(lambda: len(bench.seen.acted) == len(sent), "all actions")
        return {**_spread([bench.seen.called[name] - at for name, at in sent.items()]), "limit": 0.5}


def auto(folder: Path, url: str) -> Measured:
    """20 incidents, a second apart."""
    with opened(folder, 20, url=url, auto=True) as bench:
        scopes = [GLOBAL, "type:restart", *(f"target:fleet//service/{service(number)}" for number in range(20))]
        for scope in scopes:
            bench.stores.breakers.close(scope, actor="benchmark", reason="measured", now=time.time())
        detected = {}
        with running(bench):
            for number in range(20):
                detected[service(number)] = time.time()
                bench.feed.push(TOPICS.incidents, make_incident(number, time.time()))
                time.sleep(1.0)
            wait_for(lambda: len(bench.seen.acted) == len(detected), "all fixes")
        taken = [bench.seen.acted[name] - at for name, at in detected.items()]
        return {**_spread(taken), "settle": bench.settings.worker.settle, "limit": 5.0}


def load(folder: Path, url: str, parked: int = 1_000, seconds: float = 120.0, per_minute: float = 50.0) -> Measured:
    """Every incident is approved a moment after it is asked, and its three normal windows come after that."""
    count = int(seconds * per_minute / 60)
    with opened(folder, parked + count, url=url) as bench:
        park_copies(bench, parked)
        with running(bench):
            wait_for(lambda: bench.worker.parked == parked, "all runs parked")
            cpu, began = time.process_time(), time.time()
            pushed: dict[int, float] = {}
            decided: dict[int, float] = {}
            shown: dict[int, float] = {}
            while len(bench.seen.recorded) < count and time.time() < began + seconds + 60:
                now = time.time()
                if len(pushed) < count and now >= began + len(pushed) * 60 / per_minute:
                    _push(bench, parked + len(pushed))
                    pushed[parked + len(pushed)] = now
                _answer_and_show(bench, pushed, decided, shown)
                time.sleep(0.02)
            spent, elapsed = time.process_time() - cpu, time.time() - began
            left = count - len(bench.seen.recorded)
        settle = bench.settings.worker.settle
        to_ask = [bench.seen.asked[f"inc-{n:05d}"] - at - settle for n, at in pushed.items()]
        to_call = [bench.seen.called[service(n)] - at for n, at in decided.items()]
        to_record = [bench.seen.recorded[f"inc-{n:05d}"] - at for n, at in shown.items()]
        quarter = max(1, count // 4)
        return {
            "parked": parked,
            "incidents_per_minute": round(count / seconds * 60, 1),
            "incidents": count,
            "left_over": left,
            "arrival_to_question": _spread(to_ask),
            "backlog_growth": round(float(np.median(to_ask[-quarter:]) - np.median(to_ask[:quarter])), 3),
            "decision_to_call": _spread(to_call),
            "last_window_to_outcome": _spread(to_record),
            "resume_p99": _spread([*to_call, *to_record])["p99"],
            "cpu_share": round(spent / elapsed, 3),
            "limit": 1.0,
        }


def _push(bench: Bench, number: int) -> None:
    one = make_incident(number, time.time())
    bench.feed.push(TOPICS.alerts, firing(one.alerts[0]))
    bench.feed.push(TOPICS.incidents, one)


def _answer_and_show(
    bench: Bench, pushed: dict[int, float], decided: dict[int, float], shown: dict[int, float]
) -> None:
    """The person and the detector: approve what was asked, send the windows of what was done."""
    for number in pushed:
        name, incident_id = service(number), f"inc-{number:05d}"
        if number not in decided and time.time() > bench.seen.asked.get(incident_id, 1e18) + 2:
            (request,) = bench.stores.approvals.find(status=ApprovalStatus.PENDING, incident_id=incident_id).items
            bench.seen.called[name] = 0.0
            answer = Answer(
                request_id=request.id, digest=request.digest, choice=Choice.APPROVE, actor="ann", role=Role.APPROVER
            )
            decided[number] = time.time()
            bench.stores.approvals.decide(answer, now=time.time())
        elif number in decided and number not in shown and time.time() > bench.seen.acted.get(name, 1e18) + 2:
            shown[number] = time.time()
            alert = make_incident(number, 0.0).alerts[0]
            for window in range(1, 4):
                bench.feed.push(TOPICS.alerts, update(alert, bench.fleet.at + 60 * window, "normal"))


def memory(folder: Path, url: str, most: int = 10_000) -> Measured:
    """Resident size of the process, which is measured by one that has to grow."""
    with opened(folder, most, url=url) as bench:
        park_copies(bench, most)
        sizes, empty = {}, _resident()
        with running(bench):
            for step in (most // 10, most // 2, most):
                wait_for(partial(_parked, bench, step), f"{step} parked runs", 240)
                sizes[str(step)] = round(_resident(), 1)
            time.sleep(10)
            settled, cpu, began = _resident(), time.process_time(), time.time()
            time.sleep(50)
            idle = (time.process_time() - cpu) / (time.time() - began)
            after = _resident()
        return {
            "parked": most,
            "megabytes_before": round(empty, 1),
            "megabytes_while_parking": sizes,
            "megabytes_10_s_later": round(settled, 1),
            "megabytes_60_s_later": round(after, 1),
            "kilobytes_per_run": round((settled - empty) * 1024 / most, 2),
            "cpu_share_while_idle": round(idle, 3),
            "limit": "flat: within 2 % in the last minute",
            "flat": abs(after - settled) <= 0.02 * settled,
        }


def _parked(bench: Bench, count: int) -> bool:
    return bench.worker.parked >= count


@contextmanager
def _api(stores: SqlStores) -> Iterator[str]:
    """The HTTP API in a thread of its own."""
    keys = [ApiKeySettings(name="benchmark", role=Role.APPROVER, sha256=hash_key(KEY))]
    parts = ApiParts(stores=stores, now=time.time, history=None, probes=(), slack=SlackSettings())
    stop, ready = threading.Event(), Queue[str]()
    app = create_app(ApiSettings(keys=keys), parts)
    thread = threading.Thread(target=run_api, args=(app, "127.0.0.1", 0, stop), kwargs={"ready": ready.put})
    thread.start()
    try:
        yield ready.get(timeout=20)
    finally:
        stop.set()
        thread.join(20)


def _spread(seconds: list[float]) -> Measured:
    found = np.array(seconds)
    return {
        "count": len(found),
        **{f"p{at}": round(float(np.percentile(found, at, method="higher")), 3) for at in (50, 95, 99)},
        "longest": round(float(found.max()), 3),
    }


def _resident() -> float:
    """Megabytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


REACHED: dict[str, Callable[[Measured], bool]] = {
    "clicks": lambda found: found["p99"] <= found["limit"],
    "auto": lambda found: found["longest"] <= found["limit"],
    "load": lambda found: found["resume_p99"] <= found["limit"] and not found["left_over"],
    "memory": lambda found: found["flat"],
    "audit": lambda found: found["seconds"] <= found["limit"],
}

PARTS: dict[str, Callable[[Path, str], Measured]] = {
    "clicks": clicks,
    "auto": auto,
    "load": load,
    "memory": memory,
    "audit": audit,
}


def main() -> None:
    """Measure what is asked for, print the table, write the numbers beside those that were there; 1 when one misses."""
    parser = argparse.ArgumentParser(description="How quickly the worker acts, and how many waiting runs it bears.")
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="default: all")
    parser.add_argument("--database", default="", help="an empty PostgreSQL instead of SQLite")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the numbers go")
    arguments = parser.parse_args()
    logs.configure(level="error")
    results = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
    for name in arguments.parts or PARTS:
        before = machine()
        with tempfile.TemporaryDirectory() as folder:
            results[name] = {**PARTS[name](Path(folder), arguments.database), "machine": before}
        results[name]["database"] = "PostgreSQL" if arguments.database else "SQLite"
        _show(name, results[name])
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")
    if missed := [name for name in arguments.parts or PARTS if not REACHED[name](results[name])]:
        raise SystemExit(f"not reached here: {', '.join(missed)}")


def _show(name: str, measured: Measured) -> None:
    table = Table(title=f"{name} ({measured['database']}, load {measured['machine']['load_before']})")
    table.add_column("what")
    table.add_column("measured", justify="right")
    for key, value in measured.items():
        if key not in ("machine", "database"):
            table.add_row(key, json.dumps(value) if isinstance(value, dict) else str(value))
    Console(width=110, file=sys.stdout).print(table)


if __name__ == "__main__":
    main()
