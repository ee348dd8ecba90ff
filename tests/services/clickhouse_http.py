"""A ClickHouse server for tests: the real engine behind `clickhouse_front.py`, as a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.services.processes import Process, answers, free_port


class ClickHouseServer:
    """One on a free loopback port; data in `folder`, which may outlive it: `kill`, `start` again, and they are there."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self.base = f"127.0.0.1:{self._port}"
        front = Path(__file__).with_name("clickhouse_front.py")
        data = folder / "clickhouse"
        self._process = Process([sys.executable, front, data, str(self._port)], folder / "clickhouse.log")

    def url(self, database: str = "sentinel") -> str:
        """The value of `stores.history` for one database of this server; give each test one of its own."""
        return f"clickhouse://default@{self.base}/{database}"

    def start(self) -> None:
        """Start it and wait until it accepts connections (about a second)."""
        self._process.start(lambda: answers(self._port), seconds=30)

    def stop(self) -> None:
        """End it by its pid."""
        self._process.stop(seconds=10)

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
