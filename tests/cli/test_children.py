"""Child processes of a command: each with its log, watched, stopped by pid in reverse order, with their exit codes."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sentinel.cli.children import Children, free_port
from sentinel.errors import PermanentError
from tests.cli.running import configuration

pytestmark = pytest.mark.slow


def test_a_child_that_ends_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with Children(tmp_path / "logs") as children:
        child = children.start("broken", ["--config", str(tmp_path / "none.yaml"), "worker"])
        assert child.process.wait(60) == 2
        with pytest.raises(PermanentError) as caught:
            children.check()
    assert "`broken` ended with exit code 2" in str(caught.value)
    assert "none.yaml: cannot be read" in str(caught.value)
    assert "none.yaml" in (tmp_path / "logs" / "broken.log").read_text()


def test_a_child_that_dies_ends_the_waiting_at_once(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        children.start("broken", ["check", "no-such-file"])
        with pytest.raises(PermanentError, match="`broken` ended with exit code 2"):
            children.wait_for_url(f"http://127.0.0.1:{free_port()}/", 60.0)


def test_a_url_that_nobody_answers_is_reported_with_where_to_look(tmp_path: Path) -> None:
    with Children(tmp_path) as children, pytest.raises(PermanentError) as caught:
        children.wait_for_url(f"http://127.0.0.1:{free_port()}/", 0.1)
    assert "did not answer within 0.1 s" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_url_is_waited_for_until_it_says_200(tmp_path: Path) -> None:
    answers = iter([503, 503, 200])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(next(answers))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with Children(tmp_path) as children:
        children.wait_for_url(f"http://127.0.0.1:{server.server_address[1]}/", 30.0)
    server.shutdown()
    thread.join()
    server.server_close()
    assert next(answers, None) is None


def test_children_are_stopped_in_reverse_order_and_drain(tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    with Children(tmp_path / "logs") as children:
        for name, port in zip(("first", "second"), ports, strict=True):
            config = configuration(tmp_path, api={"port": port}, kafka={"bootstrap": f"127.0.0.1:{free_port()}"})
            children.start(name, ["--config", str(config), "api"])
            children.wait_for_url(f"http://127.0.0.1:{port}/healthz", 60.0)
        codes = children.stop()
    assert list(codes) == ["second", "first"]
    assert set(codes.values()) == {0}
