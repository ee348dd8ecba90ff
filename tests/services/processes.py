"""One process that a test owns: started with its output in a file, waited for, and stopped by its pid."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest


def free_port() -> int:
    """A TCP port on loopback that nothing listens on now. Another process may take it before you do: use it at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def in_ci() -> bool:
    """Whether this run must not skip: `SENTINEL_CI=1` or `CI=true`, as `.ci/run` sets it."""
    return any(os.environ.get(name, "").lower() in {"1", "true"} for name in ("SENTINEL_CI", "CI"))


def unavailable(reason: str) -> None:
    """Skip the test with this reason, or fail it where everything has to be there (`in_ci`)."""
    if in_ci():
        pytest.fail(f"{reason} (skipping is not allowed here: CI is set)", pytrace=False)
    pytest.skip(reason)


class Process:
    """A child process with its output appended to a log file. `user` runs it as somebody else (only root can)."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        self.command = [str(part) for part in command]
        self.log = log
        self._env = {**os.environ, **(env or {})}
        self._user = user
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; an error when it was never started."""
        assert self._child is not None, f"{self.command[0]} was not started"
        return self._child.pid

    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    def exit_code(self) -> int | None:
        """How it ended (negative: by that signal); None while it runs or before it was started."""
        return None if self._child is None else self._child.poll()

    def start(self, ready: Callable[[], bool], *, seconds: float = 60.0) -> None:
        """Start it and wait until `ready` says yes; an early end or no answer in time raises with the log's tail."""
        assert not self.running(), f"{self.command[0]} runs already"
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._env,
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user else None,
                start_new_session=True,
            )
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running():
                raise RuntimeError(f"{self.command[0]} ended with {self._child.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise TimeoutError(f"{self.command[0]} was not ready after {seconds} s:\n{self.log_tail()}")
            time.sleep(0.05)

    def stop(self, *, with_signal: signal.Signals = signal.SIGTERM, seconds: float = 30.0) -> int:
        """Ask it to end, wait, and kill it when it does not; returns the exit code."""
        assert self._child is not None, f"{self.command[0]} was not started"
        if self.running():
            self._child.send_signal(with_signal)
            try:
                self._child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        return int(self._child.wait())

    def kill(self) -> None:
        """End it as a crash would: SIGKILL, nothing flushed."""
        if self.running():
            os.kill(self.pid, signal.SIGKILL)
        if self._child is not None:
            self._child.wait()

    def log_tail(self, lines: int = 20) -> str:
        """The end of what it wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
