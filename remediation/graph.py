"""The graph of one run: analyse, plan, policy, ask, wait, execute, verify, undo, record, and round again, bounded.

Each node names the next one in `go`; the edges below are the only ways there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, StateSnapshot

from remediation.nodes import Nodes
from remediation.parts import Parts
from remediation.state import RunState
from sentinel.stores.sql.driver import driver_errors

WAYS: dict[str, tuple[str, ...]] = {
    "analyse": ("plan", "record"),
    "plan": ("policy", "record"),
    "policy": ("ask", "execute", "record"),
    "ask": ("wait",),
    "wait": ("wait", "execute", "policy", "analyse", "record"),
    "execute": ("execute", "verify", "undo", "policy", "analyse", "record"),
    "verify": ("verify", "undo", "record"),
    "undo": ("record",),
    "record": ("analyse", "end"),
}
"""Where each node may go. A way past `policy` to `execute` leads through `wait` alone, and `execute` checks again."""

RunGraph = CompiledStateGraph[RunState, None, RunState, RunState]
"""The compiled graph."""


def build_graph(parts: Parts, checkpointer: BaseCheckpointSaver[str]) -> RunGraph:
    """Compile the graph over the parts; every step is checkpointed before the next one begins (durability `sync`)."""
    nodes = Nodes(parts)
    graph: StateGraph[RunState, None, RunState, RunState] = StateGraph(RunState)
    for name, ways in WAYS.items():
        graph.add_node(name, getattr(nodes, name))
        graph.add_conditional_edges(name, _go, {way: END if way == "end" else way for way in ways})
    graph.add_edge(START, "analyse")
    return graph.compile(checkpointer=checkpointer)


def thread(thread_id: str) -> RunnableConfig:
    """The configuration that names a run's checkpoints. The limit bounds one drive, not the run: a run waits often."""
    return {"configurable": {"thread_id": thread_id}, "recursion_limit": 100}


def _go(state: RunState) -> str:
    return state["go"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a run stands. `waiting_for` is empty unless it is parked."""

    state: RunState
    ended: bool
    waiting_for: str


def position(graph: RunGraph, thread_id: str) -> Position:
    """Read the run's last checkpoint; changes nothing."""
    with driver_errors():
        snapshot = graph.get_state(thread(thread_id))
    waiting = next((one.value["waiting_for"] for one in snapshot.interrupts), "")
    return Position(state=cast("RunState", snapshot.values), ended=_ended(snapshot), waiting_for=waiting)


def advance(graph: RunGraph, thread_id: str, begin: RunState) -> Position:
    """Drive the run until it parks or ends: from its beginning, from where it crashed, or past what it waited for.

    Only interrupts that are still pending are answered. One caller at a time per run: the caller holds its lease.
    Whatever a node raises comes out here; the run then stands before that node. Raises `TransientError` when the
    checkpoints cannot be read or written now.
    """
    config = thread(thread_id)
    with driver_errors():
        snapshot = graph.get_state(config)
        if snapshot.interrupts:
            answers = {one.id: True for one in snapshot.interrupts}
            graph.invoke(Command(resume=answers), config, durability="sync")
        elif not _ended(snapshot):
            graph.invoke(None if _begun(snapshot) else begin, config, durability="sync")
    return position(graph, thread_id)


def _begun(snapshot: StateSnapshot) -> bool:
    return bool(snapshot.config.get("configurable", {}).get("checkpoint_id"))


def _ended(snapshot: StateSnapshot) -> bool:
    """No next node alone proves nothing: it is also missing after a crash between a node's writes and its checkpoint."""
    return snapshot.values.get("go") == "end" and not snapshot.next
