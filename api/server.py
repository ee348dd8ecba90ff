"""Serve the application until told to stop: in a thread of `sentinel up`, or as a process of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI

from sentinel.errors import PermanentError
from sentinel.logs import get_logger

log = get_logger("api")


def run_api(
    app: FastAPI,
    host: str,
    port: int,
    stop: threading.Event,
    *,
    drain_seconds: int = 5,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Listen on `host:port` (0: a free port) until `stop` is set, then let calls under way end and return.

    Calls under way get `drain_seconds`. `ready` gets the URL once requests are answered. Signals are the caller's:
    a handler that sets `stop` gives a process that drains at SIGTERM and exits 0. Raises `PermanentError` when the
    address cannot be had.
    """
    listener = _listen(host, port)
    url = f"http://{host}:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=drain_seconds,
        server_header=False,
        date_header=True,
    )
    server = _Server(config, lambda: _tell(url, ready))
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(server, stop, ended), name="api-stop", daemon=True)
    watcher.start()
    try:
        server.run(sockets=[listener])
    finally:
        ended.set()
        watcher.join()
        listener.close()
    log.info("api_stopped", url=url)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the caller: uvicorn would raise SIGTERM again after its end, and the exit code be 143."""
        yield


def _watch(server: uvicorn.Server, stop: threading.Event, ended: threading.Event) -> None:
    while not ended.is_set():
        if stop.wait(0.1):
            server.should_exit = True
            return


def _tell(url: str, ready: Callable[[str], None] | None) -> None:
    log.info("api_listening", url=url)
    if ready is not None:
        ready(url)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PermanentError(f"api: cannot listen on {host}:{port}: {error}; set api.port") from error
    return listener
