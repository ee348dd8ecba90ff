"""Incident memory on Qdrant's engine in this process (`qdrant-edge-py`): no server, a directory of files.

One process owns a directory. Never fork a process after it opened one: the child hangs in the engine's locks; spawn
instead. Writes go through a write-ahead log and survive a kill. `optimize()` is never called: it blocks for seconds, and
the laptop's few thousand incidents are searched in about a millisecond without an index.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import qdrant_edge as edge

from sentinel.errors import PermanentError, StorePathBusyError, TransientError
from sentinel.incidents import PastIncident
from sentinel.stores.memory.protocol import Embedder, MemoryEntry, MemoryQuery
from sentinel.stores.memory.records import (
    KEYWORD_FIELDS,
    TIME_FIELD,
    collection_name,
    past_incident,
    payload,
    point_id,
)


class EdgeMemory:
    """Implements `IncidentMemory` over the directory `path`. Threads may share one object; a lock orders them.

    Raises `StorePathBusyError` when another process, or another object in this one, holds the directory.
    """

    def __init__(self, path: Path, embedder: Embedder) -> None:
        self._embedder = embedder
        self._path = path / collection_name(embedder)
        self._lock = threading.Lock()
        self._shard: edge.EdgeShard | None = _open_shard(self._path, embedder.size)

    def remember(self, entry: MemoryEntry) -> None:
        """Store or replace the entry of one incident; an outcome that is known stays. 5 ms, most of it the embedding."""
        vector = self._embedder.embed([entry.text])[0]
        with self._using("remember") as shard:
            fields = payload(entry, _stored(shard, entry.incident_id))
            point = edge.Point(point_id(entry.incident_id), vector, fields)
            shard.update(edge.UpdateOperation.upsert_points([point]))

    def set_outcome(self, incident_id: str, outcome: str, action: str) -> bool:
        """Add how it ended to an entry; False when the incident is not in memory."""
        with self._using("set an outcome") as shard:
            if _stored(shard, incident_id) is None:
                return False
            fields = {"outcome": outcome, "action": action}
            shard.update(edge.UpdateOperation.set_payload([point_id(incident_id)], fields))
            return True

    def recall(self, query: MemoryQuery) -> list[PastIncident]:
        """Entries that pass the gates and the embedder's threshold, most similar first."""
        if not query.services:
            return []
        vector = self._embedder.embed([query.text])[0]
        request = edge.QueryRequest(
            limit=query.limit,
            query=edge.Query.Nearest(vector),
            filter=_gates(query),
            score_threshold=self._embedder.threshold,
            with_payload=True,
        )
        with self._using("recall") as shard:
            found = shard.query(request)
        return [past_incident(point.payload or {}, point.score) for point in found]

    def count(self) -> int:
        """How many incidents are remembered."""
        with self._using("count") as shard:
            return shard.count(edge.CountRequest(exact=True))

    def check(self) -> None:
        """Return when the engine answers."""
        self.count()

    def close(self) -> None:
        """Flush and release the directory; later calls raise `PermanentError`."""
        with self._lock:
            if self._shard is not None:
                self._shard.flush()
                self._shard.close()
                self._shard = None

    @contextmanager
    def _using(self, action: str) -> Iterator[edge.EdgeShard]:
        with self._lock:
            if self._shard is None:
                raise PermanentError("incident memory: used after close()")
            try:
                yield self._shard
            except Exception as error:
                # The engine raises bare Exception for everything; what it cannot do now (a full disk) it may do later.
                if type(error) is not Exception:
                    raise
                raise TransientError(f"incident memory: cannot {action} in {self._path}: {error}") from error


def _open_shard(path: Path, size: int) -> edge.EdgeShard:
    try:
        if path.exists():
            return edge.EdgeShard.load(str(path))
        return _create_shard(path, size)
    except Exception as error:
        # Bare Exception again; the text tells a lock held elsewhere from files that cannot be read.
        if "WouldBlock" in str(error):
            raise StorePathBusyError(
                f"stores.memory: {path} is owned by another process. Stop it, or let both use a server: set stores.memory to"
                " http://host:6333 (compose.yaml starts the servers). While it runs, the command line reads through its API."
            ) from error
        raise PermanentError(f"stores.memory: cannot open {path}: {error}") from error


def _create_shard(path: Path, size: int) -> edge.EdgeShard:
    # Made beside its place and moved there when whole: a kill in between leaves nothing half made under its name.
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{path.name}.new-", dir=path.parent))
    shard = edge.EdgeShard.create(
        str(draft), edge.EdgeConfig(vectors=edge.EdgeVectorParams(size=size, distance=edge.Distance.Cosine))
    )
    for field in KEYWORD_FIELDS:
        shard.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Keyword))
    shard.update(edge.UpdateOperation.create_field_index(TIME_FIELD, edge.PayloadSchemaType.Float))
    shard.flush()
    shard.close()
    draft.rename(path)
    return edge.EdgeShard.load(str(path))


def _stored(shard: edge.EdgeShard, incident_id: str) -> dict[str, Any] | None:
    found = shard.retrieve([point_id(incident_id)], with_payload=True, with_vector=False)
    return (found[0].payload or {}) if found else None


def _gates(query: MemoryQuery) -> edge.Filter:
    return edge.Filter(
        must=[
            edge.FieldCondition("service", match=edge.MatchAny(list(query.services))),
            edge.FieldCondition("kind", match=edge.MatchValue(query.kind.value)),
            edge.FieldCondition(TIME_FIELD, range=edge.RangeFloat(lt=query.before)),
        ],
        must_not=[edge.HasIdCondition({point_id(query.exclude)})] if query.exclude else None,
    )
