"""Store servers that are away, come, go and come back: every call says so, and the same object works again."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from sentinel.errors import ConfigError, PermanentError, TransientError
from sentinel.series import Series
from sentinel.stores.history.faults import store_errors
from sentinel.stores.history.opening import open_history
from sentinel.stores.history.protocol import Points
from sentinel.stores.memory.opening import open_embedder, open_memory
from tests.sentinel.stores.owner_process import remembered
from tests.services.clickhouse_http import ClickHouseServer
from tests.services.processes import free_port

SERIES = Series.of("error_ratio", {"service": "cart"})
ONE = Points([SERIES], np.array([1.7e9]), np.array([1.0]))


@pytest.mark.slow
def test_history_comes_and_goes_with_its_server(tmp_path: Path) -> None:
    server = ClickHouseServer(tmp_path)
    history = open_history(server.url(), tmp_path)
    for call in (history.check, lambda: history.add_points(ONE), lambda: history.changes([], 0, 2e9)):
        with pytest.raises(TransientError, match="series history: cannot"):
            call()
    try:
        server.start()
        history.check()
        history.add_points(ONE)
        server.kill()
        with pytest.raises(TransientError):
            history.add_points(ONE)
        with pytest.raises(TransientError):
            history.read(SERIES, 0, 2e9)
        server.start()
        assert history.read(SERIES, 0, 2e9).values.tolist() == [1.0]
    finally:
        history.close()
        server.stop()


def _write(url: str, state_dir: Path, number: int) -> None:
    history = open_history(url, state_dir)
    history.add_points(Points([SERIES], np.array([1.7e9 + number]), np.array([float(number)])))
    history.close()


@pytest.mark.slow
def test_processes_share_a_server(clickhouse_server: ClickHouseServer, tmp_path: Path) -> None:
    url = clickhouse_server.url("shared")
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write, args=(url, tmp_path, number)) for number in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    history = open_history(url, tmp_path)
    assert history.read(SERIES, 0, 2e9).values.tolist() == [0.0, 1.0]
    history.close()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OperationalError("connection refused"), TransientError),
        (DatabaseError("too many parts", code=252), TransientError),
        (DatabaseError("memory limit", code=241), TransientError),
        (DatabaseError("HTTP driver received HTTP status 503"), TransientError),
        (DatabaseError("wrong password", code=516), PermanentError),
        (DatabaseError("syntax", code=62), PermanentError),
        (DatabaseError("HTTP driver received HTTP status 404"), PermanentError),
        (TimeoutError("slow"), TransientError),
    ],
)
def test_errors_of_the_history_are_sorted(error: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected, match="cannot read"), store_errors("read"):
        raise error


@pytest.mark.parametrize("url", ["chdb://", "postgresql://host/db", "history", ""])
def test_an_unusable_history_url_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="chdb://"):
        open_history(url, tmp_path)


@pytest.mark.parametrize("url", ["edge://", "http://", "qdrant://host", ""])
def test_an_unusable_memory_url_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="edge://"):
        open_memory(url, tmp_path, open_embedder("hashed"))


def test_an_unknown_embedder_is_refused() -> None:
    with pytest.raises(ConfigError, match="minilm or hashed"):
        open_embedder("word2vec")


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server whose every answer is this status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "expected"), [(503, TransientError), (429, TransientError), (401, PermanentError)])
def test_answers_of_the_memory_server_are_sorted(status: int, expected: type[Exception], tmp_path: Path) -> None:
    with answering(status) as url:
        memory = open_memory(url, tmp_path, open_embedder("hashed"))
        with pytest.raises(expected, match="incident memory: cannot"):
            memory.check()
        memory.close()


def test_a_memory_server_that_is_away_says_so_and_harms_nothing(tmp_path: Path) -> None:
    memory = open_memory(f"http://127.0.0.1:{free_port()}", tmp_path, open_embedder("hashed"))
    with pytest.raises(TransientError, match="incident memory: cannot remember"):
        memory.remember(remembered(1))
    with pytest.raises(TransientError):
        memory.check()
    memory.close()
