"""What an incident memory can do; `qdrant_edge.py` and `qdrant_server.py` do it. Memory informs and never suppresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sentinel.alerts import FaultKind
from sentinel.incidents import PastIncident


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEntry:
    """An incident to remember. `text` is what is embedded; `outcome` and `action` are empty until they are known."""

    incident_id: str
    fingerprint: str
    title: str
    service: str
    services: tuple[str, ...]
    kind: FaultKind
    opened_at: float
    text: str
    outcome: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryQuery:
    """What to look for: gates first (service among `services`, same `kind`, opened before `before`), then likeness."""

    text: str
    services: tuple[str, ...]
    kind: FaultKind
    before: float
    exclude: str = ""
    limit: int = 3


class IncidentMemory(Protocol):
    """Earlier incidents with their outcomes. Methods raise `TransientError` while the store is away."""

    def remember(self, entry: MemoryEntry) -> None:
        """Store or replace the entry of one incident (by `incident_id`); idempotent.

        An outcome that is known stays known when the entry is written again without one (a replay).
        """

    def set_outcome(self, incident_id: str, outcome: str, action: str) -> bool:
        """Add how it ended to an entry; False when the incident is not in memory."""

    def recall(self, query: MemoryQuery) -> list[PastIncident]:
        """Entries that pass the gates and the embedder's likeness threshold, most similar first."""

    def count(self) -> int:
        """How many incidents are remembered."""

    def check(self) -> None:
        """Return when the store answers; raise `TransientError` with the reason when it does not."""

    def close(self) -> None:
        """Release the path or the connections."""


class Embedder(Protocol):
    """Text to unit vectors. `name` becomes part of the collection's name; `threshold` is its cosine for "similar"."""

    name: str
    size: int
    threshold: float

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector of `size` floats per text."""
