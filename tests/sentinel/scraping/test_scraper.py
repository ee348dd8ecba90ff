"""Targets over real HTTP: what answers, what does not, and what reaches the topic."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import ValidationError

from sentinel.config import KafkaSettings
from sentinel.kafka import GroupConsumer, Publisher, Record, ensure_topics
from sentinel.scraping.scraper import look_twice, scrape
from sentinel.scraping.settings import ScrapeSettings
from sentinel.topics import Topics
from tests.cli.running import ROOT, sentinel

PAGE = """# TYPE requests counter
requests_total{{code="200",app="cart"}} {count}
requests_total{{code="200",app="web"}} 7
# TYPE depth gauge
depth{{app="cart"}} 4
# TYPE go_threads gauge
go_threads 9
# TYPE orphan gauge
orphan 1
"""


class Exporter:
    """A page whose counter goes up by ten at every look; it answers as `answers` says."""

    def __init__(self):
        self.looks = 0
        self.seen: dict[str, str] = {}
        self.answer = lambda: (200, PAGE.format(count=10 * self.looks).encode())
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                exporter.looks += 1
                exporter.seen = dict(self.headers)
                status, body = exporter.answer()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/metrics"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def exporter():
    one = Exporter()
    yield one
    one.close()


def settings(exporter, **target):
    return ScrapeSettings.model_validate(
        {"interval": 0.2, "timeout": 0.2, "targets": {"shop": {"url": exporter.url, **(target or {"service": "cart"})}}}
    )


def look(exporter, **target):
    return look_twice(settings(exporter, **target), pause=0.0)[0]


def names(found):
    return sorted((series.name, series.service) for series, _, _ in found.events)


def test_a_target_gives_its_measurements_and_up(exporter):
    found = look(exporter)
    assert found.problem == ""
    assert names(found) == [
        ("depth", "cart"),
        ("orphan", "cart"),
        ("requests_total:rate", "cart"),
        ("requests_total:rate", "cart"),
        ("up", "cart"),
    ], "what the runtime says about itself is dropped by default"
    assert next(value for series, _, value in found.events if series.name == "up") == 1.0


def test_a_label_can_name_the_service_and_what_lacks_it_is_left_out(exporter):
    found = look(exporter, service_from="app", keep=["requests_t*", "orphan"], labels={"zone": "b"})
    assert names(found) == [("requests_total:rate", "cart"), ("requests_total:rate", "web"), ("up", "shop")]
    assert found.left_out == 1
    assert all(series.label("zone") == "b" for series, _, _ in found.events)


def test_secret_headers_are_sent_and_not_shown(exporter):
    target = {"service": "cart", "headers": {"Authorization": "Bearer s3cret"}}
    look(exporter, **target)
    assert exporter.seen["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in repr(settings(exporter, **target))


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((503, b"no"), "answered 503"),
        ((302, b""), "answered 302"),
        ((200, b"\xff\xfe"), "not UTF-8"),
        ((200, b"<html>"), "cannot be read"),
        ((200, b"a 1\n" * 500_000), "more than 1024 bytes"),
    ],
)
def test_a_target_that_answers_badly_is_down_with_the_reason(exporter, answer, problem):
    exporter.answer = lambda: answer
    limits = settings(exporter).model_copy(update={"max_bytes": 1024, "timeout": 5.0})
    found = look_twice(limits, pause=0.0)[0]
    assert problem in found.problem
    assert [(series.name, value) for series, _, value in found.events] == [("up", 0.0)]


def test_a_target_that_is_slow_or_away_is_down(exporter):
    def slow():
        time.sleep(0.5)
        return 200, b""

    exporter.answer = slow
    assert "no answer within 0.2 s" in look(exporter).problem
    exporter.close()
    assert look(exporter).problem


def test_measurements_reach_the_topic_keyed_by_service(exporter, tansu_broker):
    kafka = KafkaSettings(bootstrap=tansu_broker.bootstrap, topic_prefix=f"t{uuid.uuid4().hex[:8]}.")
    ensure_topics(kafka)
    topic, stop = Topics(kafka.topic_prefix).telemetry, threading.Event()
    with Publisher(kafka) as publisher:
        polling = threading.Thread(target=scrape, args=(settings(exporter, service_from="app"), publisher, topic, stop))
        polling.start()
        try:
            records = taken(kafka, topic, lambda found: exporter.looks >= 4 and len(found) >= 6)
        finally:
            stop.set()
            polling.join(10)
    assert not polling.is_alive()
    events = [(record.key, one) for record in records for one in json.loads(record.value)]
    assert {key for key, _ in events} == {"cart", "web", "shop"}
    assert all(one["labels"]["service"] == key for key, one in events)
    rates = [
        one["value"] for _, one in events if one["name"] == "requests_total:rate" and one["labels"]["app"] == "cart"
    ]
    assert rates
    assert all(value > 0 for value in rates)


def test_the_command_runs_until_it_is_stopped(exporter, tansu_broker, tmp_path):
    prefix = f"t{uuid.uuid4().hex[:8]}."
    kafka = KafkaSettings(bootstrap=tansu_broker.bootstrap, topic_prefix=prefix)
    config = tmp_path / "sentinel.yaml"
    config.write_text(
        f"kafka: {{bootstrap: '{tansu_broker.bootstrap}', topic_prefix: '{prefix}'}}\n"
        f"state_dir: {tmp_path}\n"
        f"scrape: {{interval: 0.3, timeout: 0.3, targets: {{shop: {{url: '{exporter.url}', service: cart}}}}}}\n"
    )
    tried = sentinel("--config", config, "scrape", "--try")
    assert tried.exit_code == 0, tried.stderr
    assert "requests_total:rate" in tried.stdout
    command = [sys.executable, "-m", "sentinel.cli.app", "--config", str(config), "scrape"]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        ensure_topics(kafka)
        taken(kafka, Topics(prefix).telemetry, lambda found: len(found) >= 3)
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    exporter.answer = lambda: (500, b"")
    down = sentinel("--config", config, "scrape", "--try")
    assert down.exit_code == 1
    assert "no page from shop" in down.stderr


def test_nothing_to_poll_is_a_configuration_error(tmp_path):
    config = tmp_path / "sentinel.yaml"
    config.write_text("{}\n")
    refused = sentinel("--config", config, "scrape", "--try")
    assert refused.exit_code == 2
    assert "scrape.targets" in refused.stderr


@pytest.mark.parametrize(
    "target",
    [
        {"url": "ftp://x/metrics", "service": "a"},
        {"url": "http://x/metrics"},
        {"url": "http://x/metrics", "service": "a", "service_from": "b"},
        {"url": "http://x/metrics", "service": "a", "labels": {"service": "b"}},
        {"url": "http://x/metrics", "service": "a", "interval": 1.0},
    ],
)
def test_targets_that_make_no_sense_are_refused(target):
    with pytest.raises(ValidationError):
        ScrapeSettings.model_validate({"targets": {"x": target}})


def taken(kafka, topic, enough, seconds=30.0):
    """What the topic holds as soon as it is enough."""
    end = time.monotonic() + seconds
    found: list[Record] = []
    with GroupConsumer(kafka, [topic], f"{topic}-{os.getpid()}-{uuid.uuid4().hex[:4]}") as consumer:
        while not enough(found):
            assert time.monotonic() < end, f"{len(found)} messages only"
            found += consumer.take(500, 0.2)
    return found
