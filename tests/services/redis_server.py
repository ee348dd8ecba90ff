"""A real Redis from Debian's package, started by hand: loopback, a free port, nothing on disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.services.processes import Process, answers, free_port


def why_missing() -> str | None:
    """The reason why Redis cannot run here, or None when it can."""
    return None if shutil.which("redis-server") else "redis-server is not installed: apt-get install redis-server"


class RedisServer:
    """One on a free loopback port. `stop` and `start` again: the same port, and nothing is left of what it held."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        options = {"--bind": "127.0.0.1", "--port": str(self._port), "--save": "", "--appendonly": "no"}
        arguments = [part for pair in options.items() for part in pair]
        self._process = Process(["redis-server", *arguments, "--dir", str(folder)], folder / "redis.log")

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        self._process.start(lambda: answers(self._port), seconds=20)

    def stop(self) -> None:
        """End it by its pid."""
        self._process.stop(seconds=10)
