"""Incident memory on a Qdrant server, through `qdrant-client`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from sentinel.errors import PermanentError, TransientError
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

_PASSING_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


class ServerMemory:
    """Implements `IncidentMemory` over a client that `connect` makes. Threads may share one object.

    The collection is made by the first call that reaches the server, so that Sentinel starts while it is away.
    """

    def __init__(self, connect: Callable[[], QdrantClient], embedder: Embedder) -> None:
        self._connect = connect
        self._embedder = embedder
        self._collection = collection_name(embedder)
        self._client: QdrantClient | None = None
        self._closed = False
        self._lock = threading.Lock()

    def remember(self, entry: MemoryEntry) -> None:
        """Store or replace the entry of one incident; an outcome that is known stays."""
        vector = self._embedder.embed([entry.text])[0]
        with self._using("remember") as client:
            fields = payload(entry, self._stored(client, entry.incident_id))
            point = models.PointStruct(id=point_id(entry.incident_id), vector=vector, payload=fields)
            client.upsert(self._collection, [point], wait=True)

    def set_outcome(self, incident_id: str, outcome: str, action: str) -> bool:
        """Add how it ended to an entry; False when the incident is not in memory."""
        with self._using("set an outcome") as client:
            if self._stored(client, incident_id) is None:
                return False
            fields = {"outcome": outcome, "action": action}
            client.set_payload(self._collection, fields, points=[point_id(incident_id)], wait=True)
            return True

    def recall(self, query: MemoryQuery) -> list[PastIncident]:
        """Entries that pass the gates and the embedder's threshold, most similar first."""
        if not query.services:
            return []
        vector = self._embedder.embed([query.text])[0]
        with self._using("recall") as client:
            found = client.query_points(
                self._collection,
                query=vector,
                query_filter=_gates(query),
                limit=query.limit,
                score_threshold=self._embedder.threshold,
                with_payload=True,
            )
        return [past_incident(point.payload or {}, point.score) for point in found.points]

    def count(self) -> int:
        """How many incidents are remembered."""
        with self._using("count") as client:
            return client.count(self._collection, exact=True).count

    def check(self) -> None:
        """Return when the server answers; raise `TransientError` with the reason when it does not."""
        self.count()

    def close(self) -> None:
        """Release the connections; later calls raise `PermanentError`."""
        with self._lock:
            self._closed = True
            if self._client is not None:
                self._client.close()
                self._client = None

    @contextmanager
    def _using(self, action: str) -> Iterator[QdrantClient]:
        try:
            yield self._open()
        except UnexpectedResponse as error:
            text = f"incident memory: cannot {action}: {error}"
            if error.status_code in _PASSING_STATUS:
                raise TransientError(text) from error
            raise PermanentError(text) from error
        except (ApiException, OSError) as error:
            raise TransientError(f"incident memory: cannot {action}: {error}") from error

    def _open(self) -> QdrantClient:
        with self._lock:
            if self._closed:
                raise PermanentError("incident memory: used after close()")
            if self._client is None:
                client = self._connect()
                self._prepare(client)
                self._client = client
            return self._client

    def _prepare(self, client: QdrantClient) -> None:
        if client.collection_exists(self._collection):
            return
        client.create_collection(
            self._collection,
            vectors_config=models.VectorParams(size=self._embedder.size, distance=models.Distance.COSINE),
        )
        for field in KEYWORD_FIELDS:
            client.create_payload_index(self._collection, field, models.PayloadSchemaType.KEYWORD)
        client.create_payload_index(self._collection, TIME_FIELD, models.PayloadSchemaType.FLOAT)

    def _stored(self, client: QdrantClient, incident_id: str) -> dict[str, Any] | None:
        found = client.retrieve(self._collection, [point_id(incident_id)], with_payload=True)
        return (found[0].payload or {}) if found else None


def _gates(query: MemoryQuery) -> models.Filter:
    return models.Filter(
        must=[
            models.FieldCondition(key="service", match=models.MatchAny(any=list(query.services))),
            models.FieldCondition(key="kind", match=models.MatchValue(value=query.kind.value)),
            models.FieldCondition(key=TIME_FIELD, range=models.Range(lt=query.before)),
        ],
        must_not=[models.HasIdCondition(has_id=[point_id(query.exclude)])] if query.exclude else None,
    )
