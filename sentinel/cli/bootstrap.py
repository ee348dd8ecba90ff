"""Choose the real things from the configuration: the one place that knows every room and every adapter.

Nothing here runs before it is called; what is opened belongs to the caller, who closes it (each `open_*` is a context).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from api.app import create_app
from api.parts import ApiParts
from api.server import run_api as serve_api
from api.slack_socket import SlackSocket
from remediation.checkpoints import open_checkpointer, worker_name
from remediation.consultations import ConsultationLog
from remediation.executors.opening import open_executors
from remediation.graph import build_graph
from remediation.intake import Intake, open_source
from remediation.journal import Journal
from remediation.notifiers.console import ConsoleNotifier
from remediation.notifiers.protocol import Notifier
from remediation.notifiers.queue import QueueNotifier, open_destinations
from remediation.notifiers.several import SeveralNotifiers
from remediation.notifiers.slack import SlackNotifier
from remediation.parts import Parts
from remediation.planners.llm_first import LlmFirstPlanner
from remediation.planners.llm_opening import open_consultant
from remediation.planners.llm_probes import PROBE_FILE, check_outcome, start_probes
from remediation.planners.protocol import Planner
from remediation.planners.runbook import RunbookPlanner
from remediation.publishing import Outbox
from remediation.redis_limits import RedisLimiter
from remediation.runbooks import load_runbooks
from remediation.worker import Worker
from sentinel import logs
from sentinel.archive import Archive
from sentinel.audit_keys import load_signing_key
from sentinel.audit_notary import Notary, open_anchor
from sentinel.audit_proof import load_proof
from sentinel.cli.configured import tell_configuration
from sentinel.cli.settings import Settings
from sentinel.config import resolve
from sentinel.health import Probe
from sentinel.kafka import Publisher, check_broker, ensure_topics
from sentinel.stores.history.opening import open_history
from sentinel.stores.history.protocol import SeriesHistory
from sentinel.stores.memory.opening import open_embedder, open_memory
from sentinel.stores.memory.protocol import IncidentMemory
from sentinel.stores.sql.database import Database, database_url
from sentinel.stores.sql.migrate import migrate
from sentinel.stores.sql.stores import SqlStores
from sentinel.topics import Topics


def configure_logs(settings: Settings) -> None:
    """Set up this process's logs."""
    logs.configure(level=settings.logs.level, pretty=settings.logs.pretty)


@contextmanager
def history_of(settings: Settings) -> Iterator[SeriesHistory]:
    """The series history; `StorePathBusyError` when another process owns the embedded path."""
    with closing(open_history(settings.stores.history, settings.state, settings.history)) as history:
        yield history


@contextmanager
def past_of(settings: Settings) -> Iterator[SeriesHistory | None]:
    """The history for a worker of its own, which shows it on Slack's cards alone; None where another process owns the path."""
    if not settings.slack.on or settings.stores.history.startswith("chdb:"):
        yield None
        return
    with history_of(settings) as history:
        yield history


@contextmanager
def memory_of(settings: Settings) -> Iterator[IncidentMemory]:
    """The incident memory; `StorePathBusyError` when another process owns the embedded path."""
    embedder = open_embedder(settings.stores.embedder)
    with closing(open_memory(settings.stores.memory, settings.state, embedder)) as memory:
        yield memory


@contextmanager
def sql_of(settings: Settings) -> Iterator[SqlStores]:
    """The SQL stores, brought to the newest schema."""
    database = Database(database_url(settings.state, settings.stores.database))
    proof = partial(load_proof, settings.audit, settings.state)
    with closing(SqlStores.over(database, anchor_of(settings), _kill_switch_file(settings), proof)) as stores:
        migrate(database)
        yield stores


def _kill_switch_file(settings: Settings) -> Path | None:
    named = settings.remediation.policy.kill_switch_file
    return resolve(settings.state, named) if named else None


def anchor_of(settings: Settings) -> Path:
    """The file outside the database that keeps the heads of the audit chain."""
    return resolve(settings.state, settings.stores.audit_anchor)


def run_archive(settings: Settings, history: SeriesHistory, stop: threading.Event) -> None:
    """Copy telemetry and decisions into the history until `stop` is set."""
    ensure_topics(settings.kafka)
    Archive(settings.kafka, history, settings.archive, settings.telemetry).run(stop)


def run_notary(settings: Settings, stores: SqlStores, stop: threading.Event) -> None:
    """Sign the heads of the audit and bring them outside until `stop` is set; without a key there is nothing to do."""
    if not settings.audit.key:
        stop.wait()
        return
    signer = load_signing_key(settings.audit.key, settings.state, os.environ)
    anchors = [open_anchor(one, settings.state, time.time) for one in settings.audit.anchors]
    Notary(stores.audit.heads, signer, anchors, settings.audit, time.time).run(stop)


def run_worker(
    settings: Settings, stores: SqlStores, stop: threading.Event, history: SeriesHistory | None = None
) -> None:
    """Drive remediation runs until `stop` is set. Without a history, pictures on cards begin with the alert."""
    tell_configuration(settings, stores, "worker", time.time())
    ensure_topics(settings.kafka)
    topics = Topics(settings.kafka.topic_prefix)
    queues = _queues(settings, stores)
    with (
        _telling(settings, stores, queues, history) as notifier,
        _worker_parts(settings, stores, notifier) as parts,
        open_checkpointer(stores.database) as checkpointer,
        Publisher(settings.kafka) as publisher,
        closing(open_source(settings.kafka, stores.projection)) as source,
    ):
        intake = Intake(source, stores.projection, topics, queues.follow)
        outbox = Outbox(publisher, topics, stores.outcomes, parts.journal)
        Worker(parts, build_graph(parts, checkpointer), intake, outbox, owner=worker_name(stores.database)).run(stop)


@contextmanager
def _worker_parts(settings: Settings, stores: SqlStores, notifier: Notifier) -> Iterator[Parts]:
    remediation = settings.remediation
    journal = Journal(stores, time.time, remediation.hash)
    with (
        _planner(settings, stores, journal) as planner,
        open_executors(remediation.executor) as executors,
        _limiter(settings) as limiter,
    ):
        yield Parts(
            settings=remediation,
            services=settings.services,
            stores=stores,
            planner=planner,
            executors=executors,
            notifier=notifier,
            journal=journal,
            now=time.time,
            limiter=limiter,
        )


@contextmanager
def _limiter(settings: Settings) -> Iterator[RedisLimiter | None]:
    """Redis where it is configured; connects at the first call."""
    if not settings.stores.redis:
        yield None
        return
    with closing(RedisLimiter(settings.stores.redis, settings.kafka.topic_prefix)) as limiter:
        yield limiter


@contextmanager
def _planner(settings: Settings, stores: SqlStores, journal: Journal) -> Iterator[Planner]:
    """Runbooks; behind language models where they are configured and their keys are in the environment."""
    runbooks = RunbookPlanner(load_runbooks(Path(settings.remediation.runbooks)))
    chain = open_consultant(settings.remediation.llm, settings.state, os.environ, time.time, time.monotonic)
    with chain as consultant:
        if consultant and settings.remediation.llm.probe and not settings.remediation.llm.replay_file:
            start_probes(consultant, resolve(settings.state, PROBE_FILE), time.time)
        told = ConsultationLog(stores, journal, time.time)
        yield LlmFirstPlanner(consultant, runbooks, told) if consultant else runbooks


@contextmanager
def _telling(
    settings: Settings, stores: SqlStores, queues: QueueNotifier, history: SeriesHistory | None = None
) -> Iterator[Notifier]:
    """The log and the queues; and Slack where it is configured. They send in the background meanwhile."""
    with ExitStack() as sending:
        sending.enter_context(queues.sending())
        if not settings.slack.on:
            yield SeveralNotifiers((ConsoleNotifier(), queues))
            return
        slack = SlackNotifier(settings.slack, stores, time.time, history=history)
        sending.enter_context(slack.sending())
        yield SeveralNotifiers((ConsoleNotifier(), queues, slack))


def _queues(settings: Settings, stores: SqlStores) -> QueueNotifier:
    told = settings.notifications
    return QueueNotifier(open_destinations(told, os.environ), stores, settings.services, told, time.time)


def run_api(settings: Settings, stores: SqlStores, history: SeriesHistory | None, stop: threading.Event) -> None:
    """Serve the API until `stop` is set. Without a history (another process owns its path) those routes answer 503."""
    tell_configuration(settings, stores, "api", time.time())
    probes = [Probe("database", stores.database.check), Probe("broker", lambda: check_broker(settings.kafka))]
    if settings.remediation.llm.enabled:
        probes.append(Probe("models", lambda: check_outcome(resolve(settings.state, PROBE_FILE)), required=False))
    if history is not None:
        probes.append(Probe("history", history.check, required=False))
    with _limiter(settings) as limiter:
        if limiter is not None:
            probes.append(Probe("redis", limiter.check, required=False))
        parts = ApiParts(
            stores=stores,
            now=time.time,
            history=history,
            probes=tuple(probes),
            audit=settings.audit,
            slack=settings.slack,
        )
        with _hearing(parts) as heard:
            app = create_app(settings.api, heard)
            serve_api(app, settings.api.host, settings.api.port, stop, drain_seconds=settings.api.drain_seconds)


@contextmanager
def _hearing(parts: ApiParts) -> Iterator[ApiParts]:
    """The parts; with a connection to Slack, and the probe that looks at it, where Slack is heard over one."""
    if not parts.slack.over_socket:
        yield parts
        return
    socket = SlackSocket(parts.slack, parts)
    with socket.listening():
        yield replace(parts, probes=(*parts.probes, Probe("slack", socket.check, required=False)))
