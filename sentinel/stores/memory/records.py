"""How an incident lies in a vector store: its point id, its payload, and back. Pure; both adapters use it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sentinel.alerts import FaultKind
from sentinel.incidents import PastIncident
from sentinel.stores.memory.protocol import Embedder, MemoryEntry

_NAMESPACE = uuid.UUID("6f0a5c1e-6a53-5d0b-9f6c-2f1f0f2b7a11")

KEYWORD_FIELDS = ("service", "kind")
"""Payload fields that are matched exactly and indexed."""

TIME_FIELD = "opened_at"
"""Payload field that is compared and indexed as a float."""


def collection_name(embedder: Embedder) -> str:
    """The collection of one embedder: vectors of different embedders cannot be compared, so they never share one."""
    return f"incidents-{embedder.name}"


def point_id(incident_id: str) -> str:
    """The UUID that is always the same for one incident, so that writing it again replaces it."""
    return str(uuid.uuid5(_NAMESPACE, incident_id))


def payload(entry: MemoryEntry, earlier: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is stored beside the vector.

    `earlier` is the payload that the store holds for the incident, if any: an outcome that is known stays known when
    a replay writes the entry again without one.
    """
    fields = asdict(entry) | {"services": list(entry.services), "kind": entry.kind.value}
    if earlier and not entry.outcome:
        fields |= {"outcome": earlier.get("outcome", ""), "action": earlier.get("action", "")}
    return fields


def past_incident(fields: Mapping[str, Any], similarity: float) -> PastIncident:
    """Read a payload back, with its likeness to the query."""
    return PastIncident(
        incident_id=fields["incident_id"],
        fingerprint=fields["fingerprint"],
        similarity=similarity,
        title=fields["title"],
        service=fields["service"],
        kind=FaultKind(fields["kind"]),
        opened_at=fields["opened_at"],
        outcome=fields["outcome"],
        action=fields["action"],
        text=fields["text"],
    )
