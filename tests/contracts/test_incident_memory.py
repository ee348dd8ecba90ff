"""What every `IncidentMemory` does: Qdrant's engine in this process, and the server's client; each with both embedders."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient

from sentinel.alerts import FaultKind
from sentinel.errors import ConfigError, PermanentError
from sentinel.stores.memory.opening import open_embedder, open_memory
from sentinel.stores.memory.protocol import Embedder, IncidentMemory, MemoryEntry, MemoryQuery
from sentinel.stores.memory.qdrant_server import ServerMemory
from tests.services.processes import unavailable

# The in-memory mode of the client says so; the server makes the index.
pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")

T0 = 1_700_000_000.0
DEPLOY = "errors in checkout: error_ratio and latency_p95_seconds above normal after change deploy; callers: frontend"
DEPLOY_AGAIN = (
    "errors in checkout: error_ratio and latency_p95_seconds far above normal after change deploy; callers: web"
)
LEAK = "saturation in checkout: memory_ratio rises steadily, no change, restarts 0"


@cache
def embedder(name: str) -> Embedder:
    try:
        return open_embedder(name)
    except ConfigError as error:
        unavailable(str(error))
        raise


@pytest.fixture(params=["hashed", "minilm"])
def chosen(request: pytest.FixtureRequest) -> Embedder:
    return embedder(request.param)


@pytest.fixture(params=["edge", "client"])
def memory(request: pytest.FixtureRequest, chosen: Embedder, tmp_path: Path) -> Iterator[IncidentMemory]:
    store: IncidentMemory
    if request.param == "edge":
        store = open_memory("edge://memory", tmp_path, chosen)
    else:
        store = ServerMemory(lambda: QdrantClient(":memory:"), chosen)
    yield store
    store.close()


def entry(incident_id: str = "inc-1", **fields: Any) -> MemoryEntry:
    values: dict[str, Any] = {
        "fingerprint": "fp-1",
        "title": "Errors in checkout",
        "service": "checkout",
        "services": ("checkout", "frontend"),
        "kind": FaultKind.ERRORS,
        "opened_at": T0,
        "text": DEPLOY,
        **fields,
    }
    return MemoryEntry(incident_id=incident_id, **values)


def query(**fields: Any) -> MemoryQuery:
    values: dict[str, Any] = {
        "text": DEPLOY_AGAIN,
        "services": ("checkout", "frontend"),
        "kind": FaultKind.ERRORS,
        "before": T0 + 3600,
        **fields,
    }
    return MemoryQuery(**values)


def recalled(memory: IncidentMemory, **fields: Any) -> list[str]:
    return [past.incident_id for past in memory.recall(query(**fields))]


def test_a_like_incident_is_recalled_whole(memory: IncidentMemory, chosen: Embedder) -> None:
    memory.remember(entry(outcome="verified", action="rollback checkout"))
    (past,) = memory.recall(query())
    assert past.similarity >= chosen.threshold
    assert past.incident_id == "inc-1"
    assert past.fingerprint == "fp-1"
    assert past.title == "Errors in checkout"
    assert past.service == "checkout"
    assert past.kind is FaultKind.ERRORS
    assert past.opened_at == T0
    assert past.outcome == "verified"
    assert past.action == "rollback checkout"
    assert past.text == DEPLOY


def test_the_same_text_has_likeness_one(memory: IncidentMemory) -> None:
    memory.remember(entry())
    assert memory.recall(query(text=DEPLOY))[0].similarity == pytest.approx(1.0, abs=1e-4)


def test_an_unlike_text_is_not_recalled(memory: IncidentMemory) -> None:
    """The threshold alone: service, kind and time would let it through."""
    memory.remember(entry(text=LEAK))
    assert recalled(memory) == []


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ({"service": "payments"}, {}),
        ({"kind": FaultKind.LATENCY}, {}),
        ({}, {"services": ("payments", "cart")}),
        ({}, {"services": ()}),
        ({}, {"kind": FaultKind.TRAFFIC}),
        ({}, {"before": T0}),
        ({}, {"exclude": "inc-1"}),
    ],
)
def test_gates_come_before_likeness(memory: IncidentMemory, stored: dict[str, Any], asked: dict[str, Any]) -> None:
    """Even the very same text does not pass a closed gate."""
    memory.remember(entry(**stored))
    assert recalled(memory, text=DEPLOY, **asked) == []


def test_gates_let_a_neighbour_through(memory: IncidentMemory) -> None:
    memory.remember(entry(service="frontend"))
    assert recalled(memory) == ["inc-1"]


def test_the_most_similar_come_first_and_no_more_than_asked(memory: IncidentMemory) -> None:
    memory.remember(entry("inc-near", text=DEPLOY_AGAIN))
    memory.remember(entry("inc-far", text=DEPLOY))
    memory.remember(entry("inc-other", text=LEAK))
    assert recalled(memory) == ["inc-near", "inc-far"]
    assert recalled(memory, limit=1) == ["inc-near"]


def test_written_twice_is_remembered_once(memory: IncidentMemory) -> None:
    memory.remember(entry())
    memory.remember(entry(title="Errors in checkout and frontend"))
    assert memory.count() == 1
    assert [past.title for past in memory.recall(query())] == ["Errors in checkout and frontend"]


def test_an_outcome_is_added_later(memory: IncidentMemory) -> None:
    memory.remember(entry())
    assert memory.set_outcome("inc-1", "verified", "rollback checkout")
    (past,) = memory.recall(query())
    assert (past.outcome, past.action, past.text) == ("verified", "rollback checkout", DEPLOY)


def test_an_outcome_of_an_unknown_incident_is_not_stored(memory: IncidentMemory) -> None:
    assert not memory.set_outcome("inc-9", "verified", "restart cart")
    assert memory.count() == 0


def test_a_replay_does_not_forget_the_outcome(memory: IncidentMemory) -> None:
    memory.remember(entry())
    memory.set_outcome("inc-1", "no_effect", "restart checkout")
    memory.remember(entry())
    assert [past.outcome for past in memory.recall(query())] == ["no_effect"]
    memory.remember(entry(outcome="verified", action="rollback checkout"))
    assert [(past.outcome, past.action) for past in memory.recall(query())] == [("verified", "rollback checkout")]


def test_threads_share_one_edge_memory(chosen: Embedder, tmp_path: Path) -> None:
    """Only here: the client's in-memory mode races in itself between an upsert and a filtered query."""
    memory = open_memory("edge://memory", tmp_path, chosen)

    def work(name: str) -> None:
        for i in range(10):
            memory.remember(entry(f"{name}-{i}"))
            assert recalled(memory, limit=1)

    with ThreadPoolExecutor(2) as pool:
        for job in [pool.submit(work, "a"), pool.submit(work, "b")]:
            job.result()
    assert memory.count() == 20
    memory.close()


def test_threads_share_one_connection_to_the_server() -> None:
    """The first calls of several threads connect once and make one collection."""
    connections: list[QdrantClient] = []
    ready = threading.Barrier(4)

    def connect() -> QdrantClient:
        connections.append(QdrantClient(":memory:"))
        return connections[-1]

    memory = ServerMemory(connect, embedder("hashed"))

    def count() -> int:
        ready.wait()
        return memory.count()

    with ThreadPoolExecutor(4) as pool:
        assert [job.result() for job in [pool.submit(count) for _ in range(4)]] == [0] * 4
    assert len(connections) == 1
    memory.close()


def test_check_answers_until_closed(memory: IncidentMemory) -> None:
    memory.check()
    memory.close()
    memory.close()
    with pytest.raises(PermanentError, match="after close"):
        memory.check()


def test_embedders_keep_to_their_own_collection(tmp_path: Path) -> None:
    hashed = open_memory("edge://memory", tmp_path, embedder("hashed"))
    minilm = open_memory("edge://memory", tmp_path, embedder("minilm"))
    hashed.remember(entry())
    assert (hashed.count(), minilm.count()) == (1, 0)
    hashed.close()
    minilm.close()


Check = Callable[[str, str], float]


@pytest.fixture
def likeness(chosen: Embedder) -> Check:
    return lambda one, other: sum(a * b for a, b in zip(*chosen.embed([one, other]), strict=True))


def test_embedders_give_repeatable_unit_vectors(chosen: Embedder, likeness: Check) -> None:
    assert [len(vector) for vector in chosen.embed([DEPLOY, "", "☃", "x" * 10_000])] == [chosen.size] * 4
    assert likeness("", "") == pytest.approx(1.0)
    assert likeness(DEPLOY, DEPLOY) == pytest.approx(1.0)
    alone, beside = chosen.embed([DEPLOY])[0], chosen.embed([LEAK * 5, DEPLOY])[1]
    assert alone == beside


def test_the_threshold_parts_like_from_unlike(chosen: Embedder, likeness: Check) -> None:
    assert likeness(DEPLOY, DEPLOY_AGAIN) >= chosen.threshold
    assert likeness(DEPLOY, LEAK) < chosen.threshold
