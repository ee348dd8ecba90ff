"""What a measurement belongs to: a series is a metric name and its labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

SERVICE_LABEL = "service"
"""The label that every event must have: it routes the event to its partition and names the owner."""

CHANGE_PREFIX = "change."
"""Events whose name starts so (`change.deploy`) are changes: kept in the history, never scored."""


@dataclass(frozen=True, slots=True)
class Series:
    """One stream of measurements.

    `name`: metric name, such as `error_ratio`. `labels`: sorted (key, value) pairs; `service` is always there.
    """

    name: str
    labels: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, name: str, labels: Mapping[str, str]) -> Series:
        """Build a series from a mapping of labels, in any order."""
        return cls(name, tuple(sorted(labels.items())))

    @property
    def service(self) -> str:
        """The service that owns the series; an empty string when the label is missing."""
        return self.label(SERVICE_LABEL)

    def label(self, key: str) -> str:
        """The value of one label, or an empty string."""
        return next((value for name, value in self.labels if name == key), "")

    @property
    def key(self) -> str:
        """Readable unique form: `error_ratio{env="prod",service="cart"}`. Two series have the same key only if equal."""
        inner = ",".join(f'{k}="{_escape(v)}"' for k, v in self.labels)
        return f"{self.name}{{{inner}}}"

    @property
    def hash(self) -> int:
        """Stable unsigned 64-bit hash of `key` (BLAKE2b); the same on every machine and in every release."""
        return int.from_bytes(hashlib.blake2b(self.key.encode(), digest_size=8).digest(), "big")


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@dataclass(frozen=True, slots=True)
class Window:
    """An event-time window [start, end), seconds since the epoch."""

    start: float
    end: float
