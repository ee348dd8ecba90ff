"""The names of the topics, who writes them, and how a message becomes bytes and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import msgspec

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Topics:
    """Topic names under one prefix, so that several Sentinels can share a broker."""

    prefix: str = ""

    @property
    def telemetry(self) -> str:
        """Events from producers, keyed by service."""
        return f"{self.prefix}telemetry"

    @property
    def rejected(self) -> str:
        """What could not be decoded: the original bytes; the reason, topic, partition and offset as headers."""
        return f"{self.prefix}telemetry.rejected"

    @property
    def alerts(self) -> str:
        """`AlertMessage`, one partition, written by `detect`."""
        return f"{self.prefix}alerts"

    @property
    def incidents(self) -> str:
        """`Incident`, compacted, keyed by incident id, written by `incidents`."""
        return f"{self.prefix}incidents"

    @property
    def decisions(self) -> str:
        """`Decision`, written by whoever decides."""
        return f"{self.prefix}decisions"

    @property
    def outcomes(self) -> str:
        """`Outcome`, written by the worker."""
        return f"{self.prefix}outcomes"

    @property
    def commands(self) -> str:
        """What people say (silence, acknowledge, merge, feedback), written by the API and the CLI."""
        return f"{self.prefix}commands"


def encode(message: object) -> bytes:
    """Encode one message (a dataclass of this package) as JSON bytes."""
    return msgspec.json.encode(message)


def decode(data: bytes, as_type: type[T]) -> T:
    """Decode JSON bytes to `as_type`; unknown fields are ignored, so that newer writers do no harm.

    Raises `msgspec.ValidationError` (a ValueError) naming the field when the bytes do not fit.
    """
    return msgspec.json.decode(data, type=as_type)
