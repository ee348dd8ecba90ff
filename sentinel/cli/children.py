"""Child processes of a command (`demo`, `replay`): started with a log file each, watched, stopped by pid."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

from sentinel.errors import PermanentError


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Child:
    """One started `sentinel` command."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Children:
    """Starts `sentinel` commands as children; leaving the context stops them in reverse order."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._logs.mkdir(parents=True, exist_ok=True)
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, name: str, arguments: Sequence[str]) -> Child:
        """Start `sentinel ARGUMENTS...`; its output goes to `NAME.log`."""
        log = self._logs / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "sentinel.cli.app", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    def check(self) -> None:
        """Raise `PermanentError` with the log's tail when a child has ended."""
        for child in self._children:
            code = child.process.poll()
            if code is not None:
                raise PermanentError(f"`{child.name}` ended with exit code {code}; its last words:\n{child.tail()}")

    def wait_for_url(self, url: str, seconds: float) -> None:
        """Return when `url` answers 200; raise `PermanentError` when a child dies or the time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check()
            try:
                if httpx.get(url, timeout=2.0).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise PermanentError(f"{url} did not answer within {seconds:g} s; logs are in {self._logs}")

    def stop(self, seconds: float = 25.0) -> dict[str, int]:
        """SIGTERM to each in reverse order of their start, SIGKILL after `seconds`; returns the exit codes by name."""
        codes = {}
        while self._children:
            child = self._children.pop()
            if child.process.poll() is None:
                child.process.terminate()
            try:
                codes[child.name] = child.process.wait(seconds)
            except subprocess.TimeoutExpired:
                child.process.kill()
                codes[child.name] = child.process.wait()
        return codes
