"""Telemetry at a steady rate in real time, with odd windows and one fault that a restart ends, for `end_to_end.py`."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import msgspec
import numpy as np

from sentinel.config import KafkaSettings
from sentinel.kafka import Publisher
from sentinel.topics import Topics

TICK = 0.1
WINDOW = 5.0
PER_MESSAGE = 50
LEAKING = "recommendations"
MEMORY = "memory_ratio"


@dataclass
class Load:
    """Sends `rate` events/s until `stop` is set: each service sends one message of 50 events (its 50 series) in its turn.

    In each window from `odd_from` on, another service has one series that is ten times too high for that window alone. The
    memory of `LEAKING` is high from `fault_at` to `healed_at`. All times are wall time, which is event time here.
    """

    kafka: KafkaSettings
    rate: int
    stop: threading.Event
    odd_from: float = float("inf")
    fault_at: float = float("inf")
    healed_at: float = float("inf")
    sent: int = 0
    late: float = 0.0
    """Longest time that the load was behind its own schedule, seconds."""
    series: int = 0
    _chance: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))

    def run(self) -> None:
        """Send on schedule, whatever the machine does: what was missed is sent at once, with the time of its turn."""
        messages = round(self.rate * TICK / PER_MESSAGE)
        services = [LEAKING, *(f"load-{number:03d}" for number in range(messages * 2 - 1))]
        self.series = len(services) * PER_MESSAGE
        topic = Topics(self.kafka.topic_prefix).telemetry
        began, tick = time.time(), 0
        with Publisher(self.kafka) as publisher:
            while not self.stop.is_set():
                due = began + tick * TICK
                if (wait := due - time.time()) > 0:
                    self.stop.wait(wait)
                    continue
                self.late = max(self.late, -wait)
                first = tick % 2 * messages
                for number in range(first, first + messages):
                    publisher.publish(topic, services[number], self._message(number, services[number], due))
                self.sent += messages * PER_MESSAGE
                tick += 1

    def _message(self, number: int, service: str, at: float) -> bytes:
        values = self._chance.normal(0.5, 0.02, PER_MESSAGE)
        window = int(at // WINDOW)
        if at >= self.odd_from and window % 10 == number % 10 and number < 10 and service != LEAKING:
            values[1] *= 10
        if service == LEAKING and self.fault_at <= at < self.healed_at:
            values[0] += 0.4
        names = [MEMORY, *(f"metric_{number:02d}" for number in range(1, PER_MESSAGE))]
        labels = {"service": service, "env": "prod"}
        return msgspec.json.encode(
            [
                {"ts": at, "name": name, "value": value, "labels": labels}
                for name, value in zip(names, values.tolist(), strict=True)
            ]
        )
